package dev.quire.kernels;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Reads quire.h and compares it with what Java believes of it. */
class HeaderTest {
    private static String header = "";

    private record Field(String name, String type, long offset, long bytes) {}

    private record Struct(List<Field> fields, long bytes, long alignment) {}

    @BeforeAll
    static void readHeader() throws IOException {
        String text = Files.readString(Path.of("src/main/native/include/quire.h"));
        header = Pattern.compile("/\\*.*?\\*/", Pattern.DOTALL).matcher(text).replaceAll(" ");
    }

    @Test
    void everyFunctionHasTheSameNameAndArgumentTypes() {
        Map<String, String> inHeader = new LinkedHashMap<>();
        Matcher m = Pattern.compile("\\bint (qr_\\w+)\\(([^)]*)\\);").matcher(header);
        while (m.find()) {
            inHeader.put(m.group(1), signature(m.group(2)));
        }
        Map<String, String> inJava = new LinkedHashMap<>();
        for (NativeSymbols.Function function : NativeSymbols.Function.ALL) {
            inJava.put(
                    function.symbol(),
                    String.join(
                            ",",
                            function.descriptor().argumentLayouts().stream()
                                    .map(HeaderTest::kind)
                                    .toList()));
        }
        assertThat(inJava).containsExactlyInAnyOrderEntriesOf(inHeader);
    }

    private static String signature(String parameters) {
        if (parameters.isBlank() || parameters.equals("void")) {
            return "";
        }
        List<String> kinds = new ArrayList<>();
        for (String parameter : parameters.split(",", -1)) {
            String type = parameter.strip().replaceAll("^const ", "").replaceAll("\\s*\\w+$", "");
            kinds.add(type.endsWith("*") ? "address" : primitive(type));
        }
        return String.join(",", kinds);
    }

    private static String kind(MemoryLayout layout) {
        String type = layout.toString();
        return switch (type.charAt(0)) {
            case 'i' -> "int";
            case 'j' -> "long";
            case 'f' -> "float";
            case 'a', 'A' -> "address";
            default -> type;
        };
    }

    private static String primitive(String c) {
        return switch (c) {
            case "int", "int32_t", "uint32_t" -> "int";
            case "int64_t", "uint64_t", "qr_dev" -> "long";
            case "float" -> "float";
            case "char" -> "char";
            default -> c;
        };
    }

    @Test
    void everyStructHasTheSameFieldsAtTheSameOffsets() {
        Map<String, Struct> structs = parseStructs();
        assertThat(NativeStructs.ALL.stream().map(s -> s.name().orElseThrow()))
                .containsExactlyInAnyOrderElementsOf(structs.keySet());
        for (StructLayout layout : NativeStructs.ALL) {
            String name = layout.name().orElseThrow();
            Struct struct = requireNonNull(structs.get(name), name);
            assertThat(layout.byteSize()).as("size of %s", name).isEqualTo(struct.bytes);
            assertThat(layout.memberLayouts().stream().map(f -> f.name().orElseThrow()))
                    .as(name)
                    .containsExactlyElementsOf(
                            struct.fields.stream().map(Field::name).toList());
            for (Field field : struct.fields) {
                PathElement path = PathElement.groupElement(field.name);
                assertThat(layout.byteOffset(path))
                        .as("%s.%s", name, field.name)
                        .isEqualTo(field.offset);
                assertThat(layout.select(path).byteSize())
                        .as("%s.%s", name, field.name)
                        .isEqualTo(field.bytes);
                if (field.type.equals("float")) {
                    assertThat(kind(layout.select(path)))
                            .as("%s.%s", name, field.name)
                            .isEqualTo("float");
                }
            }
        }
    }

    private static Map<String, Struct> parseStructs() {
        Map<String, Struct> structs = new LinkedHashMap<>();
        Matcher m = Pattern.compile("typedef struct \\w+ \\{(.*?)\\} (\\w+);", Pattern.DOTALL)
                .matcher(header);
        while (m.find()) {
            structs.put(m.group(2), parseStruct(m.group(1), structs));
        }
        return structs;
    }

    private static Struct parseStruct(String body, Map<String, Struct> known) {
        List<Field> fields = new ArrayList<>();
        long at = 0;
        long alignment = 1;
        for (String declaration : body.split(";", -1)) {
            String text = declaration.strip().replaceAll("^const ", "").replaceAll("\\s*\\*\\s*", "* ");
            if (text.isEmpty()) {
                continue;
            }
            int space = text.indexOf(' ');
            String type = text.substring(0, space);
            for (String name : text.substring(space + 1).split(",", -1)) {
                Matcher array = Pattern.compile("(\\w+)\\[(\\d+)\\]").matcher(name.strip());
                boolean many = array.matches();
                Struct inner = known.get(type);
                long align = inner == null ? size(type) : inner.alignment;
                long bytes = (inner == null ? size(type) : inner.bytes) * (many ? Long.parseLong(array.group(2)) : 1);
                at = (at + align - 1) / align * align;
                fields.add(new Field(many ? array.group(1) : name.strip(), type, at, bytes));
                at += bytes;
                alignment = Math.max(alignment, align);
            }
        }
        return new Struct(fields, (at + alignment - 1) / alignment * alignment, alignment);
    }

    private static long size(String type) {
        return switch (type.endsWith("*") ? "long" : primitive(type)) {
            case "int", "float" -> 4;
            case "long" -> 8;
            case "char" -> 1;
            default -> throw new IllegalArgumentException("unknown type " + type);
        };
    }

    @Test
    void everyConstantHasTheSameValue() {
        Map<String, Integer> c = constants();
        assertThat(c).containsEntry("QR_ABI_VERSION", NativeLibrary.ABI_VERSION);
        assertThat(c).containsEntry("QR_MAX_LOGPROBS", Step.MAX_LOGPROBS);
        for (DType type : DType.values()) {
            assertThat(c).containsEntry("QR_" + type, type.code());
        }
        assertThat(c)
                .containsEntry("QR_F32", Op.KvType.F32.code())
                .containsEntry("QR_BF16", Op.KvType.BF16.code())
                .containsEntry("QR_KV_INT8", Op.KvType.INT8.code())
                .containsEntry("QR_KV_FP8", Op.KvType.FP8.code());
        for (NativeBackend.Isa isa : NativeBackend.Isa.values()) {
            assertThat(c).containsEntry("QR_ISA_" + isa, isa.code());
        }
        assertThat(c)
                .containsEntry("QR_OP_COPY_BLOCKS", NativeProgram.COPY_BLOCKS)
                .containsEntry("QR_OP_EMBED", NativeProgram.EMBED)
                .containsEntry("QR_OP_RMS_NORM", NativeProgram.RMS_NORM)
                .containsEntry("QR_OP_LINEAR", NativeProgram.LINEAR)
                .containsEntry("QR_OP_ROPE_KV", NativeProgram.ROPE_KV)
                .containsEntry("QR_OP_ATTENTION", NativeProgram.ATTENTION)
                .containsEntry("QR_OP_GATED", NativeProgram.GATED)
                .containsEntry("QR_OP_GATHER_ROWS", NativeProgram.GATHER_ROWS)
                .containsEntry("QR_OP_SAMPLE", NativeProgram.SAMPLE)
                .containsEntry("QR_OP_ALL_REDUCE", NativeProgram.ALL_REDUCE)
                .containsEntry("QR_OP_ALL_GATHER", NativeProgram.ALL_GATHER)
                .containsEntry("QR_MAX_RANKS", Backends.MAX_RANKS)
                .containsEntry("QR_OP_EXPERTS", NativeProgram.EXPERTS)
                .containsEntry("QR_ROWS_LOGITS", NativeProgram.ROWS_LOGITS)
                .containsEntry("QR_ADD", NativeProgram.ADD)
                .containsEntry("QR_HIGH_PRECISION", NativeProgram.HIGH_PRECISION)
                .containsEntry("QR_INTERLEAVED", NativeProgram.INTERLEAVED)
                .containsEntry("QR_NORMALISED", NativeProgram.NORMALISED)
                .containsEntry("QR_SILU", 0)
                .containsEntry("QR_GELU_TANH", 1);
    }

    private static Map<String, Integer> constants() {
        Map<String, Integer> constants = new LinkedHashMap<>();
        Matcher m =
                Pattern.compile("(?:#define )?\\b(QR_\\w+)(?: = | )(-?\\d+)\\b").matcher(header);
        while (m.find()) {
            constants.put(m.group(1), Integer.valueOf(m.group(2)));
        }
        return constants;
    }

    @Test
    void aStepIsWrittenWhereTheHeaderReadsIt() {
        try (Step step = new Step(new Step.Limits(4, 2, 3, 2, 2, 4))) {
            assertThat(Step.STRUCT_BYTES).isEqualTo(NativeStructs.STEP.byteSize());
            assertThat(Step.SAMPLE_BYTES).isEqualTo(NativeStructs.SAMPLE_ROW.byteSize());
            step.copyBlock(0, 1);
            step.beginSequence();
            step.block(2);
            step.token(7, 0, 32);
            step.token(8, 1, 33);
            step.sample(step.logits(), -1, 2, new Step.SampleSpec(0.5f, 0.9f, 0.1f, 40, 1.1f, 0.2f, 0.3f, 5, 99L, 6));
            step.bias(3, 1);
            step.count(4, 2);
            NativeStructs.Struct sealed = new NativeStructs.Struct(NativeStructs.STEP, step.seal());
            assertThat(Arrays.stream(new String[] {
                                "size", "n_tokens", "n_seqs", "n_logits", "n_samples", "n_copies", "table_stride"
                            })
                            .map(sealed::integer))
                    .containsExactly(Step.STRUCT_BYTES, 2, 1, 1, 1, 1, 3);
            NativeStructs.Struct row = new NativeStructs.Struct(NativeStructs.SAMPLE_ROW, step.samples);
            assertThat(row.integer("target")).isEqualTo(-1);
            assertThat(number(row, "temperature")).isEqualTo(0.5f);
            assertThat(number(row, "top_p")).isEqualTo(0.9f);
            assertThat(number(row, "min_p")).isEqualTo(0.1f);
            assertThat(row.integer("top_k")).isEqualTo(40);
            assertThat(number(row, "repetition")).isEqualTo(1.1f);
            assertThat(number(row, "presence")).isEqualTo(0.2f);
            assertThat(number(row, "frequency")).isEqualTo(0.3f);
            assertThat(row.integer("logprobs")).isEqualTo(5);
            assertThat(row.integer("seed")).isEqualTo(99);
            assertThat(row.integer("position")).isEqualTo(2);
            assertThat(row.integer("stream")).isEqualTo(6);
            assertThat(row.integer("bias_end")).isEqualTo(1);
            assertThat(row.integer("count_end")).isEqualTo(1);
        }
    }

    private static float number(NativeStructs.Struct row, String field) {
        return Float.intBitsToFloat(row.integer(field));
    }
}
