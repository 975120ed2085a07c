package dev.quire.server;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.core.importer.Location;
import com.tngtech.archunit.lang.ArchRule;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Who may see whom. Each rule is also run on classes that break it, so that none passes for want of matches. */
class ModuleBordersTest {
    private static final JavaClasses PRODUCT = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages("dev.quire");
    private static final JavaClasses PLANTED = new ClassFileImporter()
            .withImportOption((Location location) -> location.contains("/planted/"))
            .importPackages("dev.quire");

    static Stream<Arguments> rules() {
        return Stream.of(
                Arguments.of("each module sees only what is below it", layers()),
                Arguments.of(
                        "the server reaches the device through the model",
                        noClasses()
                                .that()
                                .resideInAPackage("dev.quire.server..")
                                .should()
                                .dependOnClassesThat()
                                .resideInAnyPackage("dev.quire.kernels..", "dev.quire.kvcache..")),
                Arguments.of(
                        "block bookkeeping knows no device",
                        noClasses()
                                .that()
                                .resideInAPackage("dev.quire.kvcache..")
                                .and()
                                .haveNameNotMatching("dev\\.quire\\.kvcache\\.KvStore.*")
                                .should()
                                .dependOnClassesThat()
                                .resideInAPackage("dev.quire.kernels..")),
                Arguments.of(
                        "memory outside the heap is for kernels and model",
                        noClasses()
                                .that()
                                .resideOutsideOfPackages("dev.quire.kernels..", "dev.quire.model..")
                                .should()
                                .dependOnClassesThat()
                                .resideInAPackage("java.lang.foreign..")),
                Arguments.of(
                        "Netty stays in server.http",
                        noClasses()
                                .that()
                                .resideOutsideOfPackage("dev.quire.server.http..")
                                .should()
                                .dependOnClassesThat()
                                .resideInAPackage("io.netty..")),
                Arguments.of(
                        "Micrometer stays in server.ops",
                        noClasses()
                                .that()
                                .resideOutsideOfPackage("dev.quire.server.ops..")
                                .should()
                                .dependOnClassesThat()
                                .resideInAPackage("io.micrometer..")),
                Arguments.of(
                        "packages form no cycle",
                        slices().matching("dev.quire.(**)").should().beFreeOfCycles()),
                Arguments.of(
                        "names say what a class is",
                        noClasses().should().haveNameMatching(".*(Util|Utils|Helper|Manager|Impl)")),
                Arguments.of(
                        "engine state has one owner and no locks",
                        noMethods()
                                .that()
                                .areDeclaredInClassesThat()
                                .resideInAnyPackage("dev.quire.scheduler..", "dev.quire.kvcache..")
                                .should()
                                .haveModifier(JavaModifier.SYNCHRONIZED)));
    }

    private static ArchRule layers() {
        return layeredArchitecture()
                .consideringOnlyDependenciesInLayers()
                .layer("server")
                .definedBy("dev.quire.server..")
                .layer("scheduler")
                .definedBy("dev.quire.scheduler..")
                .layer("model")
                .definedBy("dev.quire.model..")
                .layer("kvcache")
                .definedBy("dev.quire.kvcache..")
                .layer("kernels")
                .definedBy("dev.quire.kernels..")
                .whereLayer("server")
                .mayNotBeAccessedByAnyLayer()
                .whereLayer("scheduler")
                .mayOnlyBeAccessedByLayers("server")
                .whereLayer("model")
                .mayOnlyBeAccessedByLayers("server", "scheduler")
                .whereLayer("kvcache")
                .mayOnlyBeAccessedByLayers("scheduler", "model")
                .whereLayer("kernels")
                .mayOnlyBeAccessedByLayers("model", "kvcache");
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("rules")
    void theRuleHolds(String name, ArchRule rule) {
        assertThat(rule.evaluate(PRODUCT).getFailureReport().getDetails())
                .as(name)
                .isEmpty();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("rules")
    void aPlantedViolationBreaksTheRule(String name, ArchRule rule) {
        assertThat(rule.allowEmptyShould(false).evaluate(PLANTED).hasViolation())
                .as(name)
                .isTrue();
    }
}
