#include "product.h"

#include "rows.h"

namespace quire::cuda {
namespace {

/// Dense weights at a time. Pieces much smaller leave multiprocessors without a tile of the product.
#ifdef QR_SHIM
constexpr int64_t kDenseElements = 1 << 14;  // so that the cases have several pieces
#else
constexpr int64_t kDenseElements = int64_t{32} << 20;
#endif
constexpr int kPieceRows = 128;

/// Rows of W that are dense at a time.
int piece_of(int n, int k) {
  const int64_t rows = max(int64_t{1}, kDenseElements / k / kPieceRows) * kPieceRows;
  return static_cast<int>(min(static_cast<int64_t>(n), rows));
}

/// A bias is what out holds before a product without one is added.
bool multiply_by_library(CublasLt& lt, const GemmArgs& args, cudaStream_t stream) {
  if (args.bias == nullptr) return lt.multiply(args, stream);
  if (!lt.present() || args.add != 0 || args.out_float != 0) return false;
  GemmArgs sum = args;
  sum.bias = nullptr;
  sum.add = 1;
  return repeat_row(args.bias, static_cast<bf16*>(args.out), args.rows, args.n, args.stride, stream) == cudaSuccess &&
         lt.multiply(sum, stream);
}

cudaError_t multiply_dense(CublasLt& lt, const GemmArgs& args, cudaStream_t stream) {
  if (args.rows > kSkinnyRows && multiply_by_library(lt, args, stream)) return launched();
  return args.k % kVector == 0 ? gemm_tile(args, stream) : gemm_plain(args, stream);
}

cudaError_t multiply_pieces(CublasLt& lt, WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  const int64_t row_of_tiles = static_cast<int64_t>(args.k / kTileColumns) * tile_bytes(format);
  cudaError_t status = cudaSuccess;
  for (int first = 0; first < args.n && status == cudaSuccess; first += piece_of(args.n, args.k)) {
    GemmArgs piece = args;
    piece.n = min(piece_of(args.n, args.k), args.n - first);
    piece.weight = args.dense;
    piece.bias = args.bias == nullptr ? nullptr : args.bias + first;
    piece.out = args.out_float != 0 ? static_cast<void*>(static_cast<float*>(args.out) + first)
                                    : static_cast<void*>(static_cast<bf16*>(args.out) + first);
    const uint8_t* tiles = static_cast<const uint8_t*>(args.weight) + first / kTileRows * row_of_tiles;
    status = dequantise(format, tiles, args.dense, piece.n, args.k, stream);
    if (status == cudaSuccess) status = multiply_dense(lt, piece, stream);
  }
  return status;
}

}  // namespace

ProductWorkspace product_workspace(WeightFormat format, int rows, int n, int k) {
  if (format == WeightFormat::kBf16 || rows <= kSkinnyRows) return {};
  const int64_t dense = rows < kDenseRows ? 0 : static_cast<int64_t>(piece_of(n, k)) * k;
  return {gemm_workspace(min(rows, kDenseRows - 1), n, k), dense};
}

cudaError_t product(CublasLt& lt, WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  const bool skinny = args.rows <= kSkinnyRows && args.k % kTileColumns == 0 && args.n % kTileRows == 0;
  if (skinny) return gemm_skinny(format, args, stream);
  if (format == WeightFormat::kBf16) return multiply_dense(lt, args, stream);
  return args.rows < kDenseRows ? gemm_quant(format, args, stream) : multiply_pieces(lt, format, args, stream);
}

}  // namespace quire::cuda
