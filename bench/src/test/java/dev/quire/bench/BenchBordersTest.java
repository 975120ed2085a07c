package dev.quire.bench;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import org.junit.jupiter.api.Test;

/** What the bench may see: a server over HTTP, and of this product only the front doors. */
class BenchBordersTest {
    private static final JavaClasses BENCH = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.quire.bench");

    private static final ArchRule FRONT_DOORS_ONLY = noClasses()
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "dev.quire.kernels..",
                    "dev.quire.kvcache..",
                    "dev.quire.server.http..",
                    "dev.quire.server.openai..",
                    "dev.quire.server.ops..",
                    "io.netty..");

    private static final ArchRule LOAD_KNOWS_NO_PRODUCT = noClasses()
            .that()
            .haveSimpleNameNotStartingWith("Overhead")
            .and()
            .haveSimpleNameNotStartingWith("Idle")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("dev.quire.model..", "dev.quire.scheduler..", "dev.quire.server..");

    @Test
    void onlyTheFrontDoorsOfTheProductAreUsed() {
        assertThat(FRONT_DOORS_ONLY.evaluate(BENCH).getFailureReport().getDetails())
                .isEmpty();
    }

    @Test
    void whatMeasuresServersKnowsNothingOfThisOne() {
        assertThat(LOAD_KNOWS_NO_PRODUCT.evaluate(BENCH).getFailureReport().getDetails())
                .isEmpty();
    }

    @Test
    void theRulesFindWhatBreaksThem() {
        JavaClasses own = new ClassFileImporter().importPackages("dev.quire.bench");
        ArchRule noOverhead = noClasses()
                .that()
                .haveSimpleNameStartingWith("Overhead")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.quire.scheduler..");

        assertThat(noOverhead.evaluate(own).hasViolation()).isTrue();
    }
}
