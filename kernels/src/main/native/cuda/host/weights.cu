#include "weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "half.h"

namespace quire::cuda {
namespace {

/// Rows that are packed at a time by one thread: those of a row of tiles.
constexpr int64_t kStripe = kTileRows;
constexpr uint64_t kStagingBytes = 32 << 20;

struct PackJob {
  Pool& pool;
  const Format& format;
  WeightFormat to;
  const WeightSource& source;
  int64_t first, rows;  // of the matrix
  uint8_t* out;
  std::atomic<bool>& row_scaled;

  const uint8_t* row(int64_t r) const { return source.data + r * (source.cols / format.block_cols) * format.block_bytes; }
};

void pack_plain_rows(const PackJob& job, int64_t first, int64_t rows, uint8_t* out) {
  std::vector<float> values(static_cast<size_t>(job.source.cols));
  for (int64_t r = 0; r < rows; r++) {
    read_row(job.format, job.row(first + r), job.source.cols, values.data());
    bf16* to = reinterpret_cast<bf16*>(out) + r * job.source.cols;
    for (int64_t k = 0; k < job.source.cols; k++) to[k] = {quire::float_to_bf16(values[static_cast<size_t>(k)])};
  }
}

uint16_t to_half(float value) {
  constexpr float kMost = 65504;
  return quire::float_to_f16(std::clamp(value, -kMost, kMost));
}

/// Scale and minimum as halves. Those of Q4_0 and Q4_1 are exact: minus eight times a half is one, save beyond its range,
/// where no weight is. Those of Q4_K, products of a half and six bits, are rounded.
void int4_factors(const Format& format, const Group& group, uint16_t* scale, uint16_t* minimum) {
  *scale = format.half_scales ? group.half_scale : to_half(group.scale[0]);
  *minimum = format.minima ? to_half(group.minimum) : to_half(-static_cast<float>(format.zero) * group.scale[0]);
}

/// Codes around zero and their scale. Types of five and six bits, whose codes are not centred or which have a scale for 16
/// columns, are rounded to 8 bits: an error of at most an eighth of their own step, about.
void int8_codes(const Format& format, const Group& group, int8_t* codes, uint16_t* scale) {
  if (format.type == QR_Q8_0) {
    *scale = group.half_scale;
    for (int i = 0; i < kGroup; i++) codes[i] = static_cast<int8_t>(group.code[i] - format.zero);
    return;
  }
  float values[kGroup], largest = 0;
  for (int i = 0; i < kGroup; i++) {
    const float factor = group.scale[format.scales_per_group == 2 ? i / 16 : 0];
    values[i] = factor * static_cast<float>(group.code[i] - format.zero) + (format.minima ? group.minimum : 0.0f);
    largest = std::max(largest, std::fabs(values[i]));
  }
  *scale = to_half(largest / 127);
  const float unit = quire::f16_to_float(*scale);
  for (int i = 0; i < kGroup; i++) {
    codes[i] = unit > 0 ? static_cast<int8_t>(std::clamp(std::nearbyint(values[i] / unit), -127.0f, 127.0f)) : int8_t{0};
  }
}

/// The codes as they are, and each group's scale.
void pack_float8_rows(const PackJob& job, int64_t first, uint8_t* out) {
  const int64_t cols = job.source.cols, groups = cols / kGroup;
  std::vector<uint8_t> codes(static_cast<size_t>(kStripe * cols));
  std::vector<uint16_t> scales(static_cast<size_t>(kStripe * groups));
  for (int64_t i = 0; i < kStripe * groups; i++) {
    const uint8_t* block = job.row(first + i / groups) + i % groups * job.format.block_bytes;
    float scale;
    memcpy(&scale, block, sizeof scale);
    scales[static_cast<size_t>(i)] = quire::float_to_f16(scale * kFloat8Unit);
    if (i % groups > 0 && scales[static_cast<size_t>(i)] != scales[static_cast<size_t>(i - 1)]) job.row_scaled = false;
    memcpy(&codes[static_cast<size_t>(i * kGroup)], block + sizeof scale, kGroup);
  }
  const std::vector<uint8_t> packed = pack_float8(codes, scales, kStripe, static_cast<int>(cols));
  memcpy(out, packed.data(), packed.size());
}

void pack_tiles_of_rows(const PackJob& job, int64_t first, uint8_t* out) {
  const int64_t cols = job.source.cols, groups = cols / kGroup;
  const bool four = job.to == WeightFormat::kInt4;
  std::vector<uint8_t> codes(four ? static_cast<size_t>(kStripe * cols) : 0);
  std::vector<int8_t> centred(four ? 0 : static_cast<size_t>(kStripe * cols));
  std::vector<uint16_t> scales(static_cast<size_t>(kStripe * groups)), minima(scales.size());
  for (int64_t r = 0; r < kStripe; r++) {
    for (int64_t g = 0; g < groups; g++) {
      Group group;
      read_group(job.format, job.row(first + r), g, group);
      const size_t at = static_cast<size_t>(r * groups + g), code = at * kGroup;
      if (four) {
        memcpy(&codes[code], group.code, kGroup);
        int4_factors(job.format, group, &scales[at], &minima[at]);
      } else {
        int8_codes(job.format, group, &centred[code], &scales[at]);
      }
    }
  }
  const int columns = static_cast<int>(cols);
  const std::vector<uint8_t> packed =
      four ? pack_int4(codes, scales, minima, kStripe, columns) : pack_int8(centred, scales, kStripe, columns);
  memcpy(out, packed.data(), packed.size());
}

void pack_worker(void* context, Worker&) {
  const PackJob& job = *static_cast<const PackJob*>(context);
  job.pool.parallel((job.rows + kStripe - 1) / kStripe, [&job](int64_t stripe) {
    const int64_t first = job.first + stripe * kStripe, rows = std::min(kStripe, job.rows - stripe * kStripe);
    uint8_t* out = job.out + static_cast<uint64_t>(stripe * kStripe) * row_bytes(job.to, job.source.cols);
    if (job.to == WeightFormat::kBf16) {
      pack_plain_rows(job, first, rows, out);
    } else if (job.to == WeightFormat::kFloat8) {
      pack_float8_rows(job, first, out);
    } else {
      pack_tiles_of_rows(job, first, out);
    }
  });
}

}  // namespace

uint64_t row_bytes(WeightFormat format, int64_t cols) {
  if (format == WeightFormat::kBf16) return static_cast<uint64_t>(cols) * sizeof(bf16);
  return static_cast<uint64_t>(cols / kTileColumns * tile_bytes(format) / kTileRows);
}

WeightFormat weight_format(int32_t type, int64_t rows, int64_t cols) {
  const bool tiles = cols % kTileColumns == 0 && rows % 128 == 0;
  if (!tiles) return WeightFormat::kBf16;
  switch (type) {
    case QR_Q4_0:
    case QR_Q4_1:
    case QR_Q4_K: return WeightFormat::kInt4;
    case QR_Q5_0:
    case QR_Q5_1:
    case QR_Q5_K:
    case QR_Q6_K:
    case QR_Q8_0: return WeightFormat::kInt8;
    case QR_F8_E4M3: return WeightFormat::kFloat8;
    default: return WeightFormat::kBf16;
  }
}

int weight_bytes(int32_t type, int64_t rows, int64_t cols, uint64_t* out) {
  const Format* f = format_of(type);
  if (f == nullptr) return fail(QR_UNSUPPORTED, "weights of type %d are not supported", type);
  if (rows < 1 || cols < 1 || rows >= (1ll << 31) || cols >= (1ll << 31) || cols % f->block_cols != 0) {
    return fail(QR_INVALID, "a matrix of type %d cannot be %lld x %lld", type, static_cast<long long>(rows),
                static_cast<long long>(cols));
  }
  const __int128 bytes = static_cast<__int128>(row_bytes(weight_format(type, rows, cols), cols)) * rows;
  if (bytes > static_cast<__int128>(1) << 46) return fail(QR_NO_MEMORY, "matrix too large");
  *out = static_cast<uint64_t>(bytes);
  return QR_OK;
}

int pack_weight(Pool& pool, const WeightSource& source, uint64_t to, cudaStream_t stream, bool* row_scaled) {
  const WeightFormat format = weight_format(source.type, source.rows, source.cols);
  std::atomic<bool> equal = format == WeightFormat::kFloat8;
  const uint64_t bytes = row_bytes(format, source.cols);
  const int64_t at_once = std::max<int64_t>(1, static_cast<int64_t>(kStagingBytes / bytes) / kStripe) * kStripe;
  std::vector<uint8_t> staging(static_cast<size_t>(std::min(at_once, source.rows)) * bytes);
  cudaError_t status = cudaSuccess;
  for (int64_t first = 0; first < source.rows && status == cudaSuccess; first += at_once) {
    const int64_t rows = std::min(at_once, source.rows - first);
    PackJob job = {pool, *format_of(source.type), format, source, first, rows, staging.data(), equal};
    pool.run(pack_worker, &job);
    pool.wait();
    status = cudaMemcpyAsync(reinterpret_cast<void*>(to + static_cast<uint64_t>(first) * bytes), staging.data(),
                             static_cast<uint64_t>(rows) * bytes, cudaMemcpyHostToDevice, stream);
    if (status == cudaSuccess) status = cudaStreamSynchronize(stream);
  }
  *row_scaled = equal;
  return checked(status, "copy of weights");
}

}  // namespace quire::cuda
