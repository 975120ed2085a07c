// Bad handles, operands and steps are refused with a text; known vectors of the file formats.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "../cpu/half.h"
#include "harness.h"

namespace conformance {
namespace {

void refused(int status, int wanted, const char* what) {
  char text[256] = "";
  const int length = qr_last_error(text, sizeof text);
  check(status == wanted && length > 0 && text[0] != 0, "%s: status %d, text \"%s\"", what, status, text);
}

void bad_calls() {
  QrDeviceOpts opts = {sizeof(QrDeviceOpts), 1, QR_ISA_AUTO, 0};
  qr_dev device = 0;
  uint64_t out = 0;
  refused(qr_device_open(nullptr, &device), QR_INVALID, "open without options");
  opts.size = 3;
  refused(qr_device_open(&opts, &device), QR_INVALID, "options of another size");
  opts = {sizeof(QrDeviceOpts), -1, QR_ISA_AUTO, 0};
  refused(qr_device_open(&opts, &device), QR_INVALID, "negative threads");
  opts = {sizeof(QrDeviceOpts), 1, 17, 0};
  refused(qr_device_open(&opts, &device), QR_INVALID, "unknown level");
  setenv("QUIRE_CPU_ISA", "sse9", 1);
  opts = {sizeof(QrDeviceOpts), 1, QR_ISA_AUTO, 0};
  refused(qr_device_open(&opts, &device), QR_INVALID, "unknown QUIRE_CPU_ISA");
  unsetenv("QUIRE_CPU_ISA");
  refused(qr_alloc(12345, 64, &out), QR_INVALID, "allocation on no device");
  refused(qr_wait(0), QR_INVALID, "wait on no device");
  Rig rig(QR_ISA_AUTO, 2);
  refused(qr_alloc(rig.device, 1ull << 60, &out), QR_NO_MEMORY, "allocation of an exbibyte");
  refused(qr_wait(rig.device), QR_INVALID, "wait for nothing");
  refused(qr_free(rig.device, 64, 64), QR_INVALID, "free of nothing");
  check(qr_alloc(rig.device, 4 << 20, &out) == QR_OK, "a large piece is allocated");
  refused(qr_free(rig.device, out, 8 << 20), QR_INVALID, "free of a large piece with another size");
  refused(qr_free(rig.device, out + (2 << 20), 2 << 20), QR_INVALID, "free of half a large piece");
  check(qr_free(rig.device, out, 4 << 20) == QR_OK, "a large piece is freed");
  refused(qr_free(rig.device, out, 4 << 20), QR_INVALID, "free of a large piece twice");
  refused(qr_packed_bytes(99, 1, 32, &out), QR_UNSUPPORTED, "unknown type");
  refused(qr_packed_bytes(QR_Q4_K, 1, 32, &out), QR_INVALID, "K type with 32 columns");
  refused(qr_packed_bytes(QR_F32, 1ll << 30, 1ll << 30, &out), QR_NO_MEMORY, "matrix of an exbibyte");
  refused(qr_pack(rig.device, QR_F32, nullptr, 1, 1, 64), QR_INVALID, "pack of nothing");
  refused(qr_reserve(rig.device, nullptr, 0, nullptr), QR_INVALID, "reserve for no step");
}

void bad_lists() {
  Rig rig(QR_ISA_AUTO, 2);
  StepData step = StepData::rows(2);
  Floats x(64), out(64);
  QrRmsNorm norm = {x.address(), out.address(), 0, 16, 1e-5f};
  refused(rig.run(QR_OP_RMS_NORM, 0, &norm, step.view()), QR_INVALID, "norm without weight");
  refused(rig.run(99, 0, &norm, step.view()), QR_INVALID, "unknown operation");
  const QrOp unknown = {99, 0, reinterpret_cast<uint64_t>(&norm)};
  const QrStep idle = step.view();
  refused(qr_reserve(rig.device, &unknown, 1, &idle), QR_INVALID, "reserve for an unknown operation");
  check(qr_reserve(rig.device, nullptr, 0, &idle) == QR_OK && qr_submit(rig.device, nullptr, 0, &idle) == QR_OK,
        "an empty list is reserved for and runs");
  refused(qr_reserve(rig.device, nullptr, 0, &idle), QR_INVALID, "reserve beside a running list");
  check(qr_wait(rig.device) == QR_OK, "the empty list ends");
  refused(rig.run(QR_OP_RMS_NORM, 0, nullptr, step.view()), QR_INVALID, "operation without arguments");
  QrLinear linear = {};
  linear.x = x.address();
  linear.out = out.address();
  linear.n_parts = 1;
  linear.in_cols = 16;
  linear.out_cols = 17;
  linear.parts[0] = {x.address(), QR_F32, 16, 16};
  refused(rig.run(QR_OP_LINEAR, 0, &linear, step.view()), QR_INVALID, "linear with other columns than its parts");
  const QrWeight square = {x.address(), QR_F32, 32, 64};
  QrExperts experts = {out.address(), x.address(), x.address(), square, square, square, 2, 3, QR_SILU, 0};
  refused(rig.run(QR_OP_EXPERTS, 0, &experts, step.view()), QR_INVALID, "more experts chosen than there are");
  experts.chosen = 1;
  experts.down.rows = 32;
  refused(rig.run(QR_OP_EXPERTS, 0, &experts, step.view()), QR_INVALID, "experts that do not fit each other");
  experts.down.cols = 48;
  refused(rig.run(QR_OP_EXPERTS, 0, &experts, step.view()), QR_INVALID, "experts of 48 columns");
  QrSample sample = {x.address(), 16, 0};
  step.samples.push_back({7, -1, 0, 1, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0});
  refused(rig.run(QR_OP_SAMPLE, 0, &sample, step.view()), QR_INVALID, "sample of a row that is not there");
  step.samples.clear();
  step.logits_row[1] = 2;
  refused(rig.run(QR_OP_SAMPLE, 0, &sample, step.view()), QR_INVALID, "logits of a token that is not there");
  QrStep view = step.view();
  view.size = 8;
  refused(rig.run(QR_OP_SAMPLE, 0, &sample, view), QR_INVALID, "step of another size");
  Floats cache(32 * 16 * 4);
  const QrAttention attention = {x.address(), out.address(), cache.address(), cache.address(), 1, 1, 4, QR_F32, 16, 4, 1, 0};
  StepData back;
  back.token = back.slot = {0, 0};
  back.position = {500, 5};
  back.query_start = {0, 2};
  back.table_stride = 32;
  for (int i = 0; i < 32; i++) back.blocks.push_back(i);
  refused(rig.run(QR_OP_ATTENTION, 0, &attention, back.view()), QR_INVALID, "a sequence that goes back");
  QrAttention codes = attention;
  codes.kv_type = QR_KV_INT8;
  codes.head_dim = 6;
  refused(rig.run(QR_OP_ATTENTION, 0, &codes, step.view()), QR_INVALID, "int8 heads of 6");
  codes.head_dim = 516;
  refused(rig.run(QR_OP_ATTENTION, 0, &codes, step.view()), QR_INVALID, "int8 heads of 516");
  codes.kv_type = QR_Q8_0;
  codes.head_dim = 32;
  refused(rig.run(QR_OP_ATTENTION, 0, &codes, step.view()), QR_INVALID, "a cache in the type of a weight");
  const QrCopyBlocks copy = {cache.address(), 128, 64, 1, 0};
  const QrRopeKv rope = {x.address(), out.address(), 0, 0, x.address(), cache.address(), cache.address(), 1, 1, 4, 4, QR_KV_FP8, 16, 0, 0};
  const QrOp both[] = {{QR_OP_COPY_BLOCKS, 0, reinterpret_cast<uint64_t>(&copy)}, {QR_OP_ROPE_KV, 0, reinterpret_cast<uint64_t>(&rope)}};
  const QrStep two = StepData::rows(0).view();
  refused(qr_submit(rig.device, both, 2, &two), QR_INVALID, "copies of half a block");
  QrGatherRows gather = {x.address(), out.address(), 16, 0};
  check(rig.run(QR_OP_GATHER_ROWS, 0, &gather, StepData::rows(0).view()) == QR_OK, "a step of nothing runs");
}

void memory() {
  Rig rig(QR_ISA_AUTO, 1);
  uint64_t small[40], large = 0;
  bool ok = true;
  for (uint64_t& address : small) {
    ok = ok && qr_alloc(rig.device, 1000003, &address) == QR_OK && address % 64 == 0;
    for (int i = 0; ok && i < 1000003; i += 4096) ok = reinterpret_cast<uint8_t*>(address)[i] == 0;
    if (ok) memset(reinterpret_cast<void*>(address), 1, 1000003);
  }
  for (uint64_t address : small) ok = ok && qr_free(rig.device, address, 1000003) == QR_OK;
  ok = ok && qr_alloc(rig.device, 5000001, &large) == QR_OK && *reinterpret_cast<uint8_t*>(large) == 0;
  ok = ok && qr_free(rig.device, large, 5000001) == QR_OK;
  check(ok, "memory is aligned, zeroed and given back");
}

/// The pages of a large piece come by themselves once a list has run, zeroed and without harm to what is written meanwhile.
void population() {
  constexpr uint64_t kBytes = 128 << 20, kPage = 4096;
  Rig rig(QR_ISA_AUTO, 1);
  uint64_t address = 0;
  check(qr_alloc(rig.device, kBytes, &address) == QR_OK, "a piece to populate");
  Floats x(16);
  QrGatherRows gather = {x.address(), x.address(), 16, 0};
  check(rig.run(QR_OP_GATHER_ROWS, 0, &gather, StepData::rows(0).view()) == QR_OK, "the first list starts it");
  uint8_t* bytes = reinterpret_cast<uint8_t*>(address);
  for (uint64_t i = 0; i < kBytes; i += 5 << 20) bytes[i] = 7;
  std::vector<uint8_t> resident(kBytes / kPage);
  uint64_t missing = kBytes;
  for (int i = 0; i < 1000 && missing > 0; i++) {
    usleep(10000);
    mincore(bytes, kBytes, resident.data());
    missing = static_cast<uint64_t>(std::count_if(resident.begin(), resident.end(), [](uint8_t r) { return (r & 1) == 0; }));
  }
  check(missing == 0, "%d pages of a large piece are missing after ten seconds", static_cast<int>(missing));
  bool ok = true;
  for (uint64_t i = 0; i < kBytes; i += 1 << 20) ok = ok && bytes[i] == (i % (5 << 20) == 0 ? 7 : 0);
  check(ok, "populated pages hold what was written, or zero");
  check(qr_free(rig.device, address, kBytes) == QR_OK, "a populated piece is freed");
  check(qr_alloc(rig.device, kBytes, &address) == QR_OK &&
            rig.run(QR_OP_GATHER_ROWS, 0, &gather, StepData::rows(0).view()) == QR_OK &&
            qr_free(rig.device, address, kBytes) == QR_OK,
        "a piece is freed while it is populated");
}

void information() {
  Rig rig(QR_ISA_SCALAR, 2);
  QrDeviceInfo info = {};
  info.size = sizeof info;
  check(qr_device_info(rig.device, &info) == QR_OK && info.threads == 2 && info.isa == QR_ISA_SCALAR &&
            info.memory_bytes > 0 && info.name[0] != 0,
        "information about the device");
  check(qr_abi_version() == QR_ABI_VERSION, "version of the header");
}

void halves() {
  bool ok = true;
  for (int bits = 0; bits < 65536; bits++) {
    const uint16_t half = static_cast<uint16_t>(bits);
    const float value = quire::f16_to_float(half), wanted = half_to_float(half);
    ok = ok && (memcmp(&value, &wanted, 4) == 0 || (isnan(value) && isnan(wanted)));
    if (isnan(value)) continue;
    // Back again; and half way to the next one, which goes to the even of both.
    ok = ok && quire::float_to_f16(value) == half;
    if ((half & 0x7fff) >= 0x7bff) continue;
    const float middle = value + (half_to_float(static_cast<uint16_t>(half + 1)) - value) / 2;
    ok = ok && quire::float_to_f16(middle) == half + (half & 1);
    ok = ok && quire::float_to_f16(nextafterf(middle, value)) == half;
  }
  Random random(21);
  for (int i = 0; i < 200000; i++) {
    const float value = ldexpf(random.normal(), random.below(44) - 27);
    ok = ok && quire::bf16_to_float(quire::float_to_bf16(value)) == static_cast<float>(to_bf16(value));
  }
  ok = ok && quire::float_to_f16(70000.0f) == 0x7c00 && quire::float_to_f16(-HUGE_VALF) == 0xfc00;
  ok = ok && isnan(quire::bf16_to_float(quire::float_to_bf16(NAN))) && isinf(quire::bf16_to_float(quire::float_to_bf16(3.4e38f)));
  for (const auto& [value, code] : e4m3_ties()) {
    ok = ok && quire::float_to_f8_e4m3(value) == code;
    const float beyond = nextafterf(value, value < 0 ? -HUGE_VALF : HUGE_VALF);  // of a middle the next code is nearer
    const int next = value < 0 ? (code & 1) == 0 && e4m3(code) > static_cast<double>(value) ? code + 1 : code : code;
    ok = ok && quire::float_to_f8_e4m3(beyond) == next;
  }
  ok = ok && quire::float_to_f8_e4m3(1e9f) == 0x7e && quire::float_to_f8_e4m3(-HUGE_VALF) == 0xfe && quire::float_to_f8_e4m3(NAN) == 0x7f;
  check(ok, "float16, bfloat16 and E4M3");
}

}  // namespace

void boundary_cases() {
  bad_calls();
  bad_lists();
  memory();
  population();
  information();
  halves();
}

}  // namespace conformance
