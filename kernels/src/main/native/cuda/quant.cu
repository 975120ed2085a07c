// Packing of quantised weights on the host, and their way back to bf16 on the device.
#include "quant.cuh"

namespace quire::cuda {
namespace {

/// Calls put(row, column, lane, group, step, pair, high) for each element of a tile.
template <class Put>
void for_each_element(Put put) {
  for (int lane = 0; lane < kWarpSize; lane++) {
    for (int at = 0; at < 32; at++) {
      const int high = at % 2, pair = at / 2 % 4, step = at / 8 % 2, group = at / 16;
      const int row = lane / 4 + pair % 2 * 8;
      const int column = group * kGroup + lane % 4 * 8 + step * 4 + pair / 2 * 2 + high;
      put(row, column, lane, group, step, pair, high);
    }
  }
}

void put_half(uint8_t* to, uint16_t value) {
  to[0] = static_cast<uint8_t>(value);
  to[1] = static_cast<uint8_t>(value >> 8);
}

/// Calls pack(tile, first row, first column) for each tile, rows of tiles after each other.
template <class Pack>
std::vector<uint8_t> pack_tiles(WeightFormat format, int n, int k, Pack pack) {
  const int across = k / kTileColumns;
  std::vector<uint8_t> packed(static_cast<size_t>(n / kTileRows) * across * tile_bytes(format));
  for (int tile = 0; tile < n / kTileRows * across; tile++) {
    pack(packed.data() + static_cast<size_t>(tile) * tile_bytes(format), tile / across * kTileRows,
         tile % across * kTileColumns);
  }
  return packed;
}

constexpr int kWarps = 8;

/// A warp a tile of 16 rows by 64 columns.
template <WeightFormat kFormat>
__global__ void __launch_bounds__(kWarps* kWarpSize) dequantise_kernel(const uint8_t* weight, bf16* out, int k) {
  start_after_previous();
  const int lane = threadIdx.x % kWarpSize, across = blockIdx.x * kWarps + threadIdx.x / kWarpSize;
  if (across >= k / kTileColumns) return;
  const int64_t which = static_cast<int64_t>(blockIdx.y) * (k / kTileColumns) + across;
  QuantTile<kFormat> tile;
  tile.load(weight + which * QuantTile<kFormat>::kBytes, lane);
#pragma unroll
  for (int group = 0; group < 2; group++) {
    uint32_t pairs[2][4];
    tile.operands(pairs[0], group, 0);
    tile.operands(pairs[1], group, 1);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float2 factor = tile.factor(group, half);
      float values[8];
#pragma unroll
      for (int i = 0; i < 4; i++) {  // columns 4 step + 2 (pair / 2)
        const float2 weights = weights_of<kFormat>(pairs[i / 2][i % 2 * 2 + half], factor);
        values[2 * i] = weights.x;
        values[2 * i + 1] = weights.y;
      }
      const int row = blockIdx.y * kTileRows + lane / 4 + half * 8;
      store8(out + static_cast<int64_t>(row) * k + across * kTileColumns + group * kGroup + lane % 4 * 8, values);
    }
  }
}

}  // namespace

std::vector<uint8_t> pack_int4(const std::vector<uint8_t>& q, const std::vector<uint16_t>& scale,
                               const std::vector<uint16_t>& minimum, int n, int k) {
  return pack_tiles(WeightFormat::kInt4, n, k, [&](uint8_t* tile, int first_row, int first_column) {
    for_each_element([&](int row, int column, int lane, int group, int step, int pair, int high) {
      const int nibble = pair + 4 * high;
      const int value = q[static_cast<size_t>(first_row + row) * k + first_column + column] & 15;
      tile[lane * 16 + (2 * group + step) * 4 + nibble / 2] |= static_cast<uint8_t>(value << (nibble % 2 * 4));
    });
    for (int row = 0; row < kTileRows; row++) {
      for (int group = 0; group < 2; group++) {
        const size_t from = static_cast<size_t>(first_row + row) * (k / kGroup) + first_column / kGroup + group;
        uint8_t* to = tile + 512 + row % 8 * 16 + (row / 8 * 2 + group) * 4;
        put_half(to, scale[from]);
        put_half(to + 2, minimum[from]);
      }
    }
  });
}

namespace {

std::vector<uint8_t> pack_bytes(WeightFormat format, const uint8_t* q, const std::vector<uint16_t>& scale, int n, int k) {
  return pack_tiles(format, n, k, [&](uint8_t* tile, int first_row, int first_column) {
    for_each_element([&](int row, int column, int lane, int group, int step, int pair, int high) {
      tile[group * 512 + lane * 16 + (2 * step + pair / 2) * 4 + pair % 2 + 2 * high] =
          q[static_cast<size_t>(first_row + row) * k + first_column + column];
    });
    for (int row = 0; row < kTileRows; row++) {
      for (int group = 0; group < 2; group++) {
        put_half(tile + 1024 + row % 8 * 8 + (row / 8 * 2 + group) * 2,
                 scale[static_cast<size_t>(first_row + row) * (k / kGroup) + first_column / kGroup + group]);
      }
    }
  });
}

}  // namespace

std::vector<uint8_t> pack_int8(const std::vector<int8_t>& q, const std::vector<uint16_t>& scale, int n, int k) {
  return pack_bytes(WeightFormat::kInt8, reinterpret_cast<const uint8_t*>(q.data()), scale, n, k);
}

std::vector<uint8_t> pack_float8(const std::vector<uint8_t>& q, const std::vector<uint16_t>& scale, int n, int k) {
  return pack_bytes(WeightFormat::kFloat8, q.data(), scale, n, k);
}

cudaError_t dequantise(WeightFormat format, const void* weight, bf16* out, int n, int k, cudaStream_t stream) {
  const dim3 grid(ceil_div(k / kTileColumns, kWarps), n / kTileRows);
  auto kernel = format == WeightFormat::kInt4   ? dequantise_kernel<WeightFormat::kInt4>
                : format == WeightFormat::kInt8 ? dequantise_kernel<WeightFormat::kInt8>
                                                : dequantise_kernel<WeightFormat::kFloat8>;
  LAUNCH(kernel, grid, kWarps * kWarpSize, 0, stream, static_cast<const uint8_t*>(weight), out, k);
  return launched();
}

}  // namespace quire::cuda
