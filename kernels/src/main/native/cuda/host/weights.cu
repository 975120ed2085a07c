#include "weights.h"

#include <algorithm>

#include "half.h"

namespace quire::cuda {
namespace {

/// Rows that are packed at a time by one thread: those of a row of tiles.
constexpr int64_t kStripe = kTileRows;
constexpr uint64_t kStagingBytes = 32 << 20;

uint64_t row_bytes(WeightFormat format, int64_t cols) {
  if (format == WeightFormat::kBf16) return static_cast<uint64_t>(cols) * sizeof(bf16);
  return static_cast<uint64_t>(cols / kTileColumns * tile_bytes(format) / kTileRows);
}

struct PackJob {
  Pool& pool;
  const Format& format;
  WeightFormat to;
  const WeightSource& source;
  int64_t first, rows;  // of the matrix
  uint8_t* out;

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

/// Q4_0: q * d - 8 d; Q4_1: q * d + m; Q8_0: q * d. Minus eight times a half is exact as a half, save beyond its range,
/// where no weight is.
uint16_t minus_eight(uint16_t half) {
  constexpr float kMost = 65504;
  return quire::float_to_f16(std::clamp(-8 * quire::f16_to_float(half), -kMost, kMost));
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
    memcpy(&codes[static_cast<size_t>(i * kGroup)], block + sizeof scale, kGroup);
  }
  const std::vector<uint8_t> packed = pack_float8(codes, scales, kStripe, static_cast<int>(cols));
  memcpy(out, packed.data(), packed.size());
}

void pack_tiles_of_rows(const PackJob& job, int64_t first, uint8_t* out) {
  const int64_t cols = job.source.cols, groups = cols / kGroup;
  std::vector<uint8_t> codes(static_cast<size_t>(kStripe * cols));
  std::vector<uint16_t> scales(static_cast<size_t>(kStripe * groups)), minima(scales.size());
  for (int64_t r = 0; r < kStripe; r++) {
    for (int64_t g = 0; g < groups; g++) {
      Group group;
      read_group(job.format, job.row(first + r), g, group);
      memcpy(&codes[static_cast<size_t>(r * cols + g * kGroup)], group.code, kGroup);
      const size_t at = static_cast<size_t>(r * groups + g);
      scales[at] = group.half_scale;
      minima[at] = job.format.minima ? group.half_minimum : minus_eight(group.half_scale);
    }
  }
  std::vector<uint8_t> packed;
  if (job.to == WeightFormat::kInt4) {
    packed = pack_int4(codes, scales, minima, kStripe, static_cast<int>(cols));
  } else {
    std::vector<int8_t> centred(codes.size());
    for (size_t i = 0; i < codes.size(); i++) centred[i] = static_cast<int8_t>(codes[i] - job.format.zero);
    packed = pack_int8(centred, scales, kStripe, static_cast<int>(cols));
  }
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

WeightFormat weight_format(int32_t type, int64_t rows, int64_t cols) {
  const bool tiles = cols % kTileColumns == 0 && rows % 128 == 0;
  if (tiles && (type == QR_Q4_0 || type == QR_Q4_1)) return WeightFormat::kInt4;
  if (tiles && type == QR_F8_E4M3) return WeightFormat::kFloat8;
  return tiles && type == QR_Q8_0 ? WeightFormat::kInt8 : WeightFormat::kBf16;
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

int pack_weight(Pool& pool, const WeightSource& source, uint64_t to, cudaStream_t stream) {
  const WeightFormat format = weight_format(source.type, source.rows, source.cols);
  const uint64_t bytes = row_bytes(format, source.cols);
  const int64_t at_once = std::max<int64_t>(1, static_cast<int64_t>(kStagingBytes / bytes) / kStripe) * kStripe;
  std::vector<uint8_t> staging(static_cast<size_t>(std::min(at_once, source.rows)) * bytes);
  cudaError_t status = cudaSuccess;
  for (int64_t first = 0; first < source.rows && status == cudaSuccess; first += at_once) {
    const int64_t rows = std::min(at_once, source.rows - first);
    PackJob job = {pool, *format_of(source.type), format, source, first, rows, staging.data()};
    pool.run(pack_worker, &job);
    pool.wait();
    status = cudaMemcpyAsync(reinterpret_cast<void*>(to + static_cast<uint64_t>(first) * bytes), staging.data(),
                             static_cast<uint64_t>(rows) * bytes, cudaMemcpyHostToDevice, stream);
    if (status == cudaSuccess) status = cudaStreamSynchronize(stream);
  }
  return checked(status, "copy of weights");
}

}  // namespace quire::cuda
