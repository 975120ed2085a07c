#include "product.h"

#include "float8.h"
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

constexpr int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

/// x in 8 bits, within GemmArgs::codes; and the scales of a piece of W.
struct Codes {
  uint8_t* x;
  float *x_scale, *weight_scale;
  int64_t bytes;

  Codes(uint8_t* base, int rows, int n, int k) : x(base) {
    const int64_t scales = aligned(static_cast<int64_t>(rows) * k), more = scales + aligned(4 * static_cast<int64_t>(rows));
    x_scale = reinterpret_cast<float*>(base + scales);
    weight_scale = reinterpret_cast<float*>(base + more);
    bytes = more + 4 * static_cast<int64_t>(n);
  }
};

/// Rows [first, first + n) of W by rows of tiles, and their columns of out.
GemmArgs piece_at(WeightFormat format, const GemmArgs& args, int first) {
  GemmArgs piece = args;
  piece.n = min(piece_of(args.n, args.k), args.n - first);
  piece.weight = static_cast<const uint8_t*>(args.weight) +
                 static_cast<int64_t>(first / kTileRows) * (args.k / kTileColumns) * tile_bytes(format);
  piece.bias = args.bias == nullptr ? nullptr : args.bias + first;
  piece.out = args.out_float != 0 ? static_cast<void*>(static_cast<float*>(args.out) + first)
                                  : static_cast<void*>(static_cast<bf16*>(args.out) + first);
  return piece;
}

/// False where the library multiplies no E4M3, or not this.
bool multiply_float8(CublasLt& lt, const GemmArgs& piece, const Codes& codes, cudaStream_t stream) {
  const Float8Operands operands = {codes.x, piece.dense, codes.x_scale, codes.weight_scale};
  return untile_float8(static_cast<const uint8_t*>(piece.weight), piece.dense, codes.weight_scale, piece.n, piece.k, stream) ==
             cudaSuccess &&
         lt.multiply(piece, operands, stream);
}

cudaError_t multiply_pieces(CublasLt& lt, WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  const Codes codes(args.codes, args.rows, piece_of(args.n, args.k), args.k);
  bool float8 = format == WeightFormat::kFloat8 && args.float8 != 0 && args.bias == nullptr && lt.present();
  cudaError_t status = float8 ? quantise_rows(args.x, codes.x, codes.x_scale, args.rows, args.k, stream) : cudaSuccess;
  for (int first = 0; first < args.n && status == cudaSuccess; first += piece_of(args.n, args.k)) {
    GemmArgs piece = piece_at(format, args, first);
    float8 = float8 && multiply_float8(lt, piece, codes, stream);
    if (float8) continue;
    status = dequantise(format, piece.weight, reinterpret_cast<bf16*>(piece.dense), piece.n, piece.k, stream);
    piece.weight = piece.dense;
    if (status == cudaSuccess) status = multiply_dense(lt, piece, stream);
  }
  return status == cudaSuccess ? launched() : status;
}

}  // namespace

ProductWorkspace product_workspace(WeightFormat format, int rows, int n, int k) {
  if (format == WeightFormat::kBf16 || rows <= kSkinnyRows) return {};
  ProductWorkspace needed = {gemm_workspace(min(rows, kDenseRows - 1), n, k)};
  if (rows < kDenseRows) return needed;
  needed.dense = static_cast<int64_t>(piece_of(n, k)) * k * static_cast<int64_t>(sizeof(bf16));
  if (format == WeightFormat::kFloat8) needed.codes = Codes(nullptr, rows, piece_of(n, k), k).bytes;
  return needed;
}

cudaError_t product(CublasLt& lt, WeightFormat format, const GemmArgs& args, cudaStream_t stream) {
  const bool skinny = args.rows <= kSkinnyRows && args.k % kTileColumns == 0 && args.n % kTileRows == 0;
  if (skinny) return gemm_skinny(format, args, stream);
  if (format == WeightFormat::kBf16) return multiply_dense(lt, args, stream);
  return args.rows < kDenseRows ? gemm_quant(format, args, stream) : multiply_pieces(lt, format, args, stream);
}

}  // namespace quire::cuda
