/*
 * The native boundary of Quire: one header, implemented by libquire_cpu.so and libquire_cuda.so.
 *
 * The caller records a list of operations once (QrOp[]), and runs it for each step with a QrStep that carries
 * the step's sizes and per-token arrays. The CPU library interprets the list on its own threads; a GPU library
 * may capture it as a graph.
 *
 * Conventions
 *  - Every function returns QR_OK or a negative status; qr_last_error gives the text of the last failure.
 *  - "Device addresses" are uint64_t. On the CPU they are plain addresses, aligned to 64 bytes.
 *  - Activations are row-major. T = tokens of the step, B = sequences, R = rows of logits,
 *    S = samples. Rows of an operand beyond the step's count are never touched.
 *  - On the CPU activations are float32. On CUDA they are BF16 in buffers of the same size (4 bytes an element are
 *    allotted), save what a SAMPLE or an ALL_GATHER of the list reads, or an EXPERTS as its logits: those are float32. Norm
 *    weights, biases and cos_sin are float32 everywhere.
 *  - GATED and ROPE_KV use up their gate_up and qkv: their contents are unspecified after the list. So is the out of
 *    GATED and of ATTENTION where the next operation is a LINEAR of quantised weights that takes it.
 *  - A device is used by one thread at a time, except qr_last_error and qr_group_abort.
 *  - On the CPU the arithmetic of an output row depends on that row's inputs alone: not on T, on the other rows, on the
 *    number of threads or on the instruction set (docs/architecture.md, "Same output whatever the company").
 */
#ifndef QUIRE_H
#define QUIRE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QR_ABI_VERSION 6

enum { QR_OK = 0, QR_INVALID = -1, QR_NO_MEMORY = -2, QR_UNSUPPORTED = -3, QR_FAULT = -4 };

/* Instruction set levels of the CPU library. AUTO takes the best that the machine has. */
enum { QR_ISA_AUTO = 0, QR_ISA_SCALAR = 1, QR_ISA_AVX2 = 2, QR_ISA_AVX512 = 3, QR_ISA_AVX512_BF16 = 4 };

/* Element types; numbers follow the GGUF specification's ggml_type, save those from 100 on. */
enum {
  QR_F32 = 0, QR_F16 = 1, QR_Q4_0 = 2, QR_Q4_1 = 3, QR_Q5_0 = 6, QR_Q5_1 = 7, QR_Q8_0 = 8,
  QR_Q4_K = 12, QR_Q5_K = 13, QR_Q6_K = 14, QR_BF16 = 30,
  QR_KV_INT8 = 24, QR_KV_FP8 = 101, /* of the KV cache alone, with a scale for each head of a key or value: int8 (ggml's I8), E4M3 */
  QR_F8_E4M3 = 100 /* weights only: a float32 scale before each 32 codes, E4M3 of the OCP 8-bit floating point specification */
};

typedef uint64_t qr_dev;

typedef struct QrDeviceOpts { int32_t size, threads /* 0 = physical cores this process may use */, isa, reserved; } QrDeviceOpts;
typedef struct QrDeviceInfo {
  int32_t size, threads, isa;
  int32_t queue;           /* lists that may be submitted and not waited for */
  uint64_t memory_bytes;   /* total memory of the device, for the CPU that of the host */
  uint64_t free_bytes;     /* of it, what may still be allocated; 0 = ask the operating system */
  char name[64];           /* model of the processor, NUL-terminated */
} QrDeviceInfo;

int qr_abi_version(void);
int qr_device_count(void);                                      /* devices that can be opened; 0 without a driver */
int qr_device_open(const QrDeviceOpts* opts, qr_dev* out);
int qr_device_info(qr_dev dev, QrDeviceInfo* out);
int qr_device_close(qr_dev dev);                                /* ends the threads; buffers must be freed before */

/* Tensor parallelism: `ranks` devices of this process, 1 to QR_MAX_RANKS, that run lists side by side and meet in the
   collective operations. out [ranks]: rank r is out[r]. opts is for all of them: on the CPU its threads are dealt out, on
   CUDA rank r is the r-th GPU that this process sees, and libnccl.so.2 must be there. All ranks run steps of the same
   sizes with collectives of the same shapes, each in a thread of its own.
   qr_group_abort ends a group of which one rank cannot go on: whoever waits in a collective, or will, goes on at once with
   unspecified numbers, and qr_wait and qr_submit are QR_FAULT on all ranks from then on. Any thread may call it, on any
   rank, also while lists run. Closing a rank does the same to the others. Memory of a rank is freed when no rank
   runs a list. */
#define QR_MAX_RANKS 64
int qr_group_open(const QrDeviceOpts* opts, int32_t ranks, qr_dev* out);
int qr_group_abort(qr_dev dev);

int qr_alloc(qr_dev dev, uint64_t bytes, uint64_t* out);        /* zeroed, 64-byte aligned, huge pages where they help */
int qr_free(qr_dev dev, uint64_t address, uint64_t bytes);
int qr_write(qr_dev dev, uint64_t address, const void* src, uint64_t bytes);   /* from the host; done on return */
int qr_read(qr_dev dev, void* dst, uint64_t address, uint64_t bytes);          /* to the host; done on return */
int qr_host_alloc(qr_dev dev, uint64_t bytes, uint64_t* out);   /* host memory that SWAP_BLOCKS reaches; on CUDA page-locked */
int qr_host_free(qr_dev dev, uint64_t address, uint64_t bytes);
int qr_last_error(char* out, int32_t capacity);                 /* of this thread; returns the text's length */

/* Weights. A matrix W[rows, cols] arrives row-major in its file type and is packed once into the layout that the
   kernels stream. Quantised types need cols % 32 == 0 (K types: % 256).
   The CPU keeps F8_E4M3 as BF16. CUDA keeps quantised types where rows % 128 == 0 and cols % 64 == 0, else as BF16: those of
   4 bits with halves for scales and minima, those of 5 and 6 bits rounded to 8 with a scale for 32 columns, an error of an
   eighth of their step; of F8_E4M3 scales of at least 16 are out of range. */
int qr_packed_bytes(int32_t type, int64_t rows, int64_t cols, uint64_t* out);
int qr_pack(qr_dev dev, int32_t type, const void* src, int64_t rows, int64_t cols, uint64_t dst);

typedef struct QrWeight { uint64_t data; int32_t type, cols; int64_t rows; } QrWeight;   /* a packed matrix */

/* ---- operations ---- */
enum {
  QR_OP_COPY_BLOCKS = 1, QR_OP_EMBED = 2, QR_OP_RMS_NORM = 3, QR_OP_LINEAR = 4, QR_OP_ROPE_KV = 5,
  QR_OP_ATTENTION = 6, QR_OP_GATED = 7, QR_OP_GATHER_ROWS = 8, QR_OP_SAMPLE = 9,
  QR_OP_ALL_REDUCE = 10, QR_OP_ALL_GATHER = 11, QR_OP_EXPERTS = 12, QR_OP_SWAP_BLOCKS = 13
};

typedef struct QrOp { int32_t opcode, flags; uint64_t args; /* address of the opcode's struct */ } QrOp;

/* QR_OP_COPY_BLOCKS: for each pair (src, dst) of the step, in each of `regions` equal regions:
   base + r * region_bytes + dst * block_bytes <- ... src ...
   block_bytes is that of a block of keys in the ROPE_KV of the same list. */
typedef struct QrCopyBlocks { uint64_t base; uint64_t region_bytes; uint64_t block_bytes; int32_t regions, reserved; } QrCopyBlocks;

/* QR_OP_SWAP_BLOCKS: moves whole blocks between the device and memory of qr_host_alloc. First for each pair (device block,
   host block) of swaps_out, in each region r, host + (host_block * regions + r) * block_bytes <- base + r * region_bytes +
   device_block * block_bytes; then for each pair (host block, device block) of swaps_in the other way round. No block is
   written twice by one list of pairs. */
typedef struct QrSwapBlocks {
  uint64_t base, region_bytes, block_bytes, host;
  int32_t regions, host_blocks;
} QrSwapBlocks;

/* QR_OP_EMBED: out[t, :] = weight[token[t], :] * scale, dequantised. out [T, weight.cols] */
typedef struct QrEmbed { uint64_t out; QrWeight weight; float scale; int32_t reserved; } QrEmbed;

/* QR_OP_RMS_NORM: out[r, :] = x[r, :] / sqrt(mean(x[r, :]^2) + eps) * weight. rows T, or R with QR_ROWS_LOGITS. */
typedef struct QrRmsNorm { uint64_t x, out, weight; int32_t cols; float eps; } QrRmsNorm;
#define QR_ROWS_LOGITS 1

/* QR_OP_LINEAR: out[r, n] (+)= sum_k x[r, k] * W[n, k] + bias[n], W being up to three matrices stacked along n
   (query, key, value; gate, up). out has leading dimension out_cols = sum of their rows.
   Quantised weights on the CPU: x is quantised to int8 in groups of 32 (QR_HIGH_PRECISION: to 15 bits, two int8 planes);
   where some part has 4-bit codes, the scales of two neighbouring groups differ by a power of two. On CUDA 8-bit floats
   with a scale a row may round the rows of x to 8-bit floats too where there are many (not with QR_HIGH_PRECISION). */
typedef struct QrLinear {
  uint64_t x, out, bias /* 0 = none */;
  QrWeight parts[3];
  int32_t n_parts, in_cols, out_cols, reserved;
} QrLinear;
#define QR_ADD 2
#define QR_HIGH_PRECISION 4

/* QR_OP_ROPE_KV: qkv [T, (H + 2 Hkv) D] -> per-head RMS norm of q and k where given (eps), rotation of the first
   rotary_dim columns of each head of q and k, q to q_out [T, H, D], k and v into the cache at slot[t] (-1: nowhere).
   cos_sin [max_position, rotary_dim]: first half cosines, second half sines.
   Pairs (i, i + rotary_dim/2), or (2i, 2i + 1) with QR_INTERLEAVED.
   kv_type F32: k cache [blocks, Hkv, D, block_tokens], v cache [blocks, Hkv, block_tokens, D];
   BF16, D even: k cache [blocks, Hkv, D / 2, block_tokens, 2], v cache [blocks, Hkv, block_tokens / 2, D, 2].
   INT8 and FP8, D a multiple of 4 up to 512: for each block and kv head one byte for each element, in the order of BF16,
   then block_tokens float32 scales. A head of a key or a value is scale * code: its scale is the largest magnitude / 127
   for INT8 and / 448 for FP8, and its codes are the nearest, even on ties.
   On CUDA no F32, and the elements of BF16, INT8 and FP8 are [blocks, Hkv, block_tokens, D].
   slot = block * block_tokens + offset. block_tokens is a multiple of 16, on CUDA a power of two. */
typedef struct QrRopeKv {
  uint64_t qkv, q_out, q_norm, k_norm, cos_sin, k_cache, v_cache;
  int32_t heads, kv_heads, head_dim, rotary_dim, kv_type, block_tokens;
  float eps; int32_t reserved;
} QrRopeKv;
#define QR_INTERLEAVED 8

/* QR_OP_ATTENTION: causal softmax attention of each token over the cached context of its sequence.
   Token t of sequence b (query_start[b] <= t < query_start[b+1]) has absolute position[t] and sees positions
   [max(0, position[t] - window + 1), position[t]] (window 0 = all). q, out [T, H, D]. scale > 0.
   The positions of a sequence's tokens are consecutive.
   With a BF16 cache the queries and the weights of the positions are rounded to BF16 too; sums are in F32.
   So they are with INT8 and FP8, the weights times the scales of the values; but with INT8 on the CPU queries and weights
   are int16, with a scale for each head of a query and for each 64 positions, and sums of products are exact. */
typedef struct QrAttention {
  uint64_t q, out, k_cache, v_cache;
  int32_t heads, kv_heads, head_dim, kv_type, block_tokens, window;
  float scale, softcap /* 0 = none */;
} QrAttention;

/* QR_OP_GATED: out[r, i] = act(gate_up[r, i]) * gate_up[r, inner + i]. gate_up [rows, 2 inner], out [rows, inner]; rows T,
   or R with QR_ROWS_LOGITS. */
typedef struct QrGated { uint64_t gate_up, out; int32_t inner, activation; } QrGated;
enum { QR_SILU = 0, QR_GELU_TANH = 1 };

/* QR_OP_EXPERTS: a mixture of gated feed-forward blocks. For each row the `chosen` largest of logits [rows, experts] are
   taken, ties by lowest id. The weight of each is its softmax over all experts; with QR_NORMALISED divided by the sum of the
   chosen ones'. sum[r, :] = (QR_ADD: +=) over the chosen experts e, best first, weight * down_e (act(gate_e x[r, :]) * up_e x[r, :]).
   x, sum [rows, cols]; gate and up [experts * inner, cols], down [experts * cols, inner], expert after expert. cols and inner
   are multiples of 32, on CUDA of 64. rows T, or R with QR_ROWS_LOGITS. Inputs are quantised as those of LINEAR are. */
typedef struct QrExperts {
  uint64_t sum, x, logits;
  QrWeight gate, up, down;
  int32_t experts, chosen, activation, reserved;
} QrExperts;
#define QR_NORMALISED 16

/* QR_OP_GATHER_ROWS: out[r, :] = x[logits_row[r], :]. x [T, cols], out [R, cols] */
typedef struct QrGatherRows { uint64_t x, out; int32_t cols, reserved; } QrGatherRows;

/* QR_OP_SAMPLE: for each sample of the step, from logits [R, vocab]. logits are not changed. */
typedef struct QrSample { uint64_t logits; int32_t vocab, reserved; } QrSample;

/* The collectives, on the ranks of a group; rows T, or R with QR_ROWS_LOGITS.
   QR_OP_ALL_REDUCE: x[r, :] = sum of x[r, :] over the ranks, the same on each. On the CPU in the order of the ranks.
   QR_OP_ALL_GATHER: out[r, k cols + c] = x[r, c] of rank k, for columns below out_cols. x [rows, cols], float32 on CUDA
   too, out [rows, out_cols], cols * ranks >= out_cols. out 0: this rank does not want them. */
typedef struct QrAllReduce { uint64_t x; int32_t cols, reserved; } QrAllReduce;
typedef struct QrAllGather { uint64_t x, out; int32_t cols, out_cols; } QrAllGather;

/* ---- the step ---- */
#define QR_MAX_LOGPROBS 20

/* One sample. Order of work: logits; + bias; penalties; then temperature 0: arg-max, lowest id on ties; else / temperature,
   min_p (relative to the largest probability), top_k (ties at the k-th value by lowest id), top_p (smallest set,
   highest first, whose sum reaches p), draw. The uniform number is Philox4x32-10(key = seed, counter = (position, stream)),
   the draw inverts the cumulative sum in order of token id.
   Log-probabilities are of the raw logits. target >= 0: nothing is drawn, the token is target.
   The libraries give the same token, unless the uniform number is within rounding of a boundary: the CPU sums float32
   weights in double, CUDA whole multiples of 2^-42 of the largest. On CUDA vocab is at most 2^21. */
typedef struct QrSampleRow {
  int32_t row;                  /* 0 .. R-1 */
  int32_t target;               /* -1 = draw */
  float temperature, top_p, min_p;
  int32_t top_k;                /* 0 = all */
  float repetition, presence, frequency;
  int32_t logprobs;             /* -1 = none wanted, 0 = of the token, n <= QR_MAX_LOGPROBS = also the n best */
  uint64_t seed;
  uint32_t position, stream;
  int32_t bias_begin, bias_end; /* into bias_token / bias_value, in any order; -INFINITY forbids a token */
  int32_t count_begin, count_end; /* into count_token / count_output: the distinct tokens seen */
} QrSampleRow;

typedef struct QrStep {
  int32_t size;                                  /* sizeof(QrStep) */
  int32_t n_tokens, n_seqs, n_logits, n_samples, n_copies;
  int32_t table_stride;                          /* entries per row of block_table */
  int32_t n_swaps_out, n_swaps_in;
  int32_t n_carried;            /* tokens that carry names; 0: carry is not read */
  const int32_t* token;         /* [T] */
  const int32_t* carry;         /* [T] -1, or a sample of the list submitted before, whose token stands in for token[t] */
  const int32_t* position;      /* [T] */
  const int32_t* slot;          /* [T] */
  const int32_t* query_start;   /* [B + 1] */
  const int32_t* block_table;   /* [B, table_stride] */
  const int32_t* logits_row;    /* [R] token index of each row of logits */
  const int32_t* copies;        /* [n_copies, 2] block ids (src, dst) */
  const int32_t* swaps_out;     /* [n_swaps_out, 2] (device block, host block) */
  const int32_t* swaps_in;      /* [n_swaps_in, 2] (host block, device block) */
  const QrSampleRow* samples;   /* [S] */
  const int32_t* bias_token;
  const float* bias_value;
  const int32_t* count_token;
  const int32_t* count_output;  /* times in the output; 0 = only in the prompt */
  int32_t* out_token;           /* [S]; -1 where the logits of the row are not finite */
  float* out_logprob;           /* [S] */
  int32_t* out_top_token;       /* [S, QR_MAX_LOGPROBS], best first */
  float* out_top_logprob;       /* [S, QR_MAX_LOGPROBS] */
  int64_t* out_nanos;           /* [1] time in which the device was at work on the list; or null */
} QrStep;

/* Starts the list behind those submitted before and returns. As many as QrDeviceInfo.queue says may be submitted and not
   waited for; one more is QR_INVALID. ops, args and step stay valid and unchanged until the list has been waited for.
   A step may carry tokens that the list submitted before it draws, whether that has ended or not; of logits that were
   not finite, the token 0. */
int qr_submit(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step);
/* Takes the memory that the list needs on a step like this one, and runs nothing. A later step of no more tokens,
   sequences, rows, samples and positions finds it there. */
int qr_reserve(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step);
/* Blocks until the list submitted first is done; returns its status. */
int qr_wait(qr_dev dev);

#ifdef __cplusplus
}
#endif
#endif
