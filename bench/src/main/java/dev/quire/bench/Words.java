package dev.quire.bench;

import java.util.List;

/** Everyday words, each one token with the space before it in the vocabularies of today. */
final class Words {
    private static final List<String> WORDS = List.of("""
            about above across action after again against almost along already also although always among amount \
            animal another answer area around away back base because become before began behind being below between \
            beyond black blood blue board boat body book both bottom bring brought building business call came cannot \
            care carry case cause center change child children church city class clear close cold color come common \
            company complete could country course cover cross culture current dark data day dead deal death decided \
            deep different direct distance door down draw dream drive during each early earth east easy education \
            effect either else energy engine enough even evening ever every example experience face fact fall family \
            far father feel field fight figure final find fine fire first fish five floor follow food foot force form \
            forward found four free friend front full game gave general give glass gold gone good government great \
            green ground group grow half hand happen hard head hear heart heat heavy held help high history hold home \
            horse hour house human hundred idea important increase inside interest iron island issue keep kind king \
            knowledge land language large last later law lay lead learn leave left less letter level life light like \
            line list little live local long look lost love low machine made main make man many map mark market matter \
            mean measure method middle might mind money month moon more morning most mother mountain move much music \
            name nation nature near need never new next night north nothing notice number object ocean office often \
            old once only open order other outside over own page paper part party past pattern peace people perhaps \
            period person picture piece place plan plant play point policy poor position possible power present price \
            problem process produce program public pull put quality question quickly quiet race rain reach read ready \
            real reason record red region remember report rest result return rich right rise river road rock room rule \
            run same school science sea second see sense sentence series serve service set seven several shape ship \
            short should show side sight simple since single sister six size sky sleep small snow social society soft \
            soil some song soon sound south space speak special spring square stand star start state step still stone \
            stood stop story street strong study such summer sun support sure surface system table take talk tell ten \
            test than their them then there these thing think third those thought thousand three through time today \
            together told took top toward town trade tree true turn two type under unit until upon use usually value \
            very view village visit voice wait walk wall war warm watch water wave weather week weight well went west \
            what wheel when where which while white whole why wide wild wind window winter wish within without woman \
            wonder wood word work world write wrong year young""".split(" "));

    private Words() {}

    /** A word for a token id. */
    static String word(int token) {
        return WORDS.get(Math.floorMod(token, WORDS.size()));
    }
}
