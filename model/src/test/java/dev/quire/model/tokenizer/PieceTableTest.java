package dev.quire.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.quire.model.weights.Texts;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PieceTableTest {
    private static int find(PieceTable table, String piece) {
        byte[] bytes = ("x" + piece + "y").getBytes(StandardCharsets.UTF_8);
        return table.find(bytes, 1, bytes.length - 1);
    }

    private static int findJoined(PieceTable table, String left, String right) {
        byte[] bytes = ("x" + left + " " + right + "y").getBytes(StandardCharsets.UTF_8);
        int gap = 1 + left.getBytes(StandardCharsets.UTF_8).length;
        return table.findJoined(bytes, 1, gap, bytes.length - 1);
    }

    @Test
    void itFindsWhatAMapFinds() {
        Random random = new Random(7);
        List<String> pieces = new ArrayList<>();
        Map<String, Integer> first = new HashMap<>();
        for (int id = 0; id < 20_000; id++) {
            StringBuilder piece = new StringBuilder();
            for (int n = random.nextInt(6); n > 0; n--) {
                piece.append("abc\u0120\u20ac ".charAt(random.nextInt(6)));
            }
            pieces.add(piece.toString());
            if (!piece.isEmpty()) {
                first.putIfAbsent(piece.toString(), id);
            }
        }
        PieceTable table = new PieceTable(Texts.of(pieces));
        assertThat(find(table, "")).isEqualTo(-1);
        for (String piece : pieces) {
            assertThat(find(table, piece)).isEqualTo(first.getOrDefault(piece, -1));
            assertThat(find(table, piece + "d")).isEqualTo(-1);
            int cut = random.nextInt(piece.length() + 1);
            assertThat(findJoined(table, piece.substring(0, cut), piece.substring(cut)))
                    .isEqualTo(first.getOrDefault(piece, -1));
            assertThat(findJoined(table, piece, "d")).isEqualTo(-1);
        }
    }

    @Test
    void piecesMadeToCollideAreRefused() {
        List<String> pieces = List.of("");
        for (int i = 0; i < 11; i++) { // Aa and BB have one hash, and so has any row of them
            List<String> longer = new ArrayList<>();
            for (String piece : pieces) {
                longer.add(piece + "Aa");
                longer.add(piece + "BB");
            }
            pieces = longer;
        }
        Texts colliding = Texts.of(pieces);
        assertThatThrownBy(() -> new PieceTable(colliding))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("collide");
    }
}
