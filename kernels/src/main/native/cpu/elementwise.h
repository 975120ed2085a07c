// Norm, gate, rotation, sums over ranks and the passes over logits. Included by kernels.cpp.

namespace quire::QR_LEVEL {

/// 1 / sqrt(mean(x^2) + eps).
QR_INLINE float inverse_rms(const float* x, int cols, float eps) {
  F squares = zero();
  int i = 0;
  for (; i + 16 <= cols; i += 16) {
    const F v = load(x + i);
    squares = fma(v, v, squares);
  }
  if (i < cols) {
    const F v = load_n(x + i, cols - i);
    squares = fma(v, v, squares);
  }
  return 1.0f / __builtin_sqrtf(sum(squares) / (float)cols + eps);
}

static void rms_norm(const float* x, const float* weight, float* out, int cols, float eps) {
  const F inverse = set1(inverse_rms(x, cols, eps));
  int i = 0;
  for (; i + 16 <= cols; i += 16) store(out + i, mul(mul(load(x + i), inverse), load(weight + i)));
  if (i < cols) {
    const int n = cols - i;
    store_n(out + i, mul(mul(load_n(x + i, n), inverse), load_n(weight + i, n)), n);
  }
}

QR_INLINE F activate(F x, int activation) {
  if (activation == QR_SILU) return div(x, add(set1(1.0f), exp(sub(zero(), x))));
  const F cube = mul(mul(x, x), x);
  const F inner = mul(set1(0.7978845608f), fma(set1(0.044715f), cube, x));
  return mul(mul(set1(0.5f), x), add(set1(1.0f), tanh(inner)));
}

static void gated(const float* gate_up, float* out, int inner, int activation) {
  const float* up = gate_up + inner;
  int i = 0;
  for (; i + 16 <= inner; i += 16) {
    store(out + i, mul(activate(load(gate_up + i), activation), load(up + i)));
  }
  if (i < inner) {
    const int n = inner - i;
    store_n(out + i, mul(activate(load_n(gate_up + i, n), activation), load_n(up + i, n)), n);
  }
}

/// Rotates the pairs (a[i step], b[i step]), i from `first` on.
QR_INLINE void rotate(float* a, float* b, int step, int first, int pairs, const float* cosines,
                      const float* sines) {
  for (int i = first; i < pairs; i++) {
    const float x = a[i * step], y = b[i * step];
    a[i * step] = __builtin_fmaf(x, cosines[i], -(y * sines[i]));
    b[i * step] = __builtin_fmaf(y, cosines[i], x * sines[i]);
  }
}

/// The same for pairs (a[i], a[pairs + i]), sixteen at a time.
QR_INLINE void rotate_halves(float* a, int pairs, const float* cosines, const float* sines) {
  float* b = a + pairs;
  int i = 0;
  for (; i + 16 <= pairs; i += 16) {
    const F x = load(a + i), y = load(b + i), cosine = load(cosines + i), sine = load(sines + i);
    store(a + i, fma(x, cosine, mul(y, sub(zero(), sine))));
    store(b + i, fma(y, cosine, mul(x, sine)));
  }
  rotate(a, b, 1, i, pairs, cosines, sines);
}

/// One head of q or k: norm where there is one, then rotation, from `in` to `out`.
QR_INLINE void prepare_head(const QrRopeKv& op, int flags, const float* in, uint64_t norm,
                            const float* cosines, float* out) {
  if (norm != 0) {
    rms_norm(in, (const float*)norm, out, op.head_dim, op.eps);
  } else {
    memcpy(out, in, (size_t)op.head_dim * sizeof(float));
  }
  const int pairs = op.rotary_dim / 2;
  if ((flags & QR_INTERLEAVED) != 0) {
    rotate(out, out + 1, 2, 0, pairs, cosines, cosines + pairs);
  } else {
    rotate_halves(out, pairs, cosines, cosines + pairs);
  }
}

/// Where one head of a block begins in the cache of keys or of values.
QR_INLINE uint64_t head_in(const QrRopeKv& op, uint64_t cache, int64_t block_head) {
  return cache + block_head * kv_head_bytes(op.kv_type, op.head_dim, op.block_tokens);
}

/// The nearest codes of a head, and its scale to where a block's scales are. codes: D rounded up to 16.
QR_INLINE void to_codes(const QrRopeKv& op, const float* x, int8_t* codes, uint64_t head, int offset) {
  const int d = op.head_dim;
  const float most = op.kv_type == QR_KV_INT8 ? 127.0f : 448.0f, largest = largest_of(x, d), factor = factor_to(most, largest);
  if (op.kv_type == QR_KV_INT8) {
    for (int i = 0; i < d; i += 16) {
      store_bytes(codes + i, round_int(mul(load_n(x + i, d - i < 16 ? d - i : 16), set1(factor))));
    }
  } else {
    for (int i = 0; i < d; i++) codes[i] = (int8_t)float_to_f8_e4m3(x[i] * factor);
  }
  ((float*)(head + (int64_t)d * op.block_tokens))[offset] = largest / most;
}

/// A key to [D, block_tokens] at column `offset` of one head of a block; in other types to [D / 2, block_tokens, 2].
/// scratch: D rounded up to 32.
QR_INLINE void store_key(const QrRopeKv& op, int64_t block_head, int offset, const float* key, float* scratch) {
  const int d = op.head_dim, bt = op.block_tokens;
  const uint64_t head = head_in(op, op.k_cache, block_head);
  if (op.kv_type == QR_F32) {
    float* k = (float*)head + offset;
    for (int i = 0; i < d; i++) k[(int64_t)i * bt] = key[i];
  } else if (op.kv_type == QR_BF16) {
    const float* pairs = to_bf16(key, d, scratch);
    float* k = (float*)head + offset;
    for (int i = 0; i < d / 2; i++) k[(int64_t)i * bt] = pairs[i];
  } else {
    int8_t *codes = (int8_t*)scratch, *k = (int8_t*)head + 2 * offset;
    to_codes(op, key, codes, head, offset);
    for (int i = 0; i < d / 2; i++) memcpy(k + (int64_t)i * bt * 2, codes + 2 * i, 2);
  }
}

/// A value to [block_tokens, D] at row `offset` of one head of a block; in other types to [block_tokens / 2, D, 2].
/// scratch: D rounded up to 32.
QR_INLINE void store_value(const QrRopeKv& op, int64_t block_head, int offset, const float* value, float* scratch) {
  const int d = op.head_dim;
  const uint64_t head = head_in(op, op.v_cache, block_head);
  if (op.kv_type == QR_F32) {
    memcpy((float*)head + (int64_t)offset * d, value, (size_t)d * sizeof(float));
    return;
  }
  // Its neighbour may be written by another thread.
  if (op.kv_type == QR_BF16) {
    const float* pairs = to_bf16(value, d, scratch);
    uint16_t* v = (uint16_t*)head + offset / 2 * 2 * d;
    int i = 0;
    for (; i + 32 <= d; i += 32) store_halves(v + 2 * i, load(pairs + i / 2), offset % 2);
    const uint16_t* rest = (const uint16_t*)pairs;
    for (; i < d; i++) v[2 * i + offset % 2] = rest[i];
  } else {
    int8_t *codes = (int8_t*)scratch, *v = (int8_t*)head + offset / 2 * 2 * d + offset % 2;
    to_codes(op, value, codes, head, offset);
    for (int i = 0; i < d; i++) v[2 * i] = codes[i];
  }
}

/// One head of a token's queries, keys and values, counted through all of them. scratch: 2 D + 32 floats.
static void rope_head(const QrRopeKv& op, const QrStep& step, int flags, int64_t t, int head, const float* in,
                      float* scratch) {
  const int d = op.head_dim;
  const float* cosines = (const float*)op.cos_sin + (int64_t)step.position[t] * op.rotary_dim;
  if (head < op.heads) {
    prepare_head(op, flags, in, op.q_norm, cosines, (float*)op.q_out + (t * op.heads + head) * d);
    return;
  }
  const int64_t slot = step.slot[t];
  if (slot < 0) return;
  const int kv = (head - op.heads) % op.kv_heads, offset = (int)(slot % op.block_tokens);
  const int64_t block_head = slot / op.block_tokens * op.kv_heads + kv;
  if (head >= op.heads + op.kv_heads) {
    store_value(op, block_head, offset, in, scratch);
    return;
  }
  prepare_head(op, flags, in, op.k_norm, cosines, scratch);
  store_key(op, block_head, offset, scratch, scratch + d);
}

static void rope_kv(const QrRopeKv& op, const QrStep& step, int flags, int64_t t, float* scratch) {
  const int heads = op.heads + 2 * op.kv_heads;
  const float* row = (const float*)op.qkv + t * heads * op.head_dim;
  for (int h = 0; h < heads; h++) rope_head(op, step, flags, t, h, row + (int64_t)h * op.head_dim, scratch);
}

static void sum_up(float* const* parts, int n, int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i + 16 <= end; i += 16) {
    F total = load(parts[0] + i);
    for (int p = 1; p < n; p++) total = add(total, load(parts[p] + i));
    for (int p = 0; p < n; p++) store(parts[p] + i, total);
  }
  if (i == end) return;
  const int rest = (int)(end - i);
  F total = load_n(parts[0] + i, rest);
  for (int p = 1; p < n; p++) total = add(total, load_n(parts[p] + i, rest));
  for (int p = 0; p < n; p++) store_n(parts[p] + i, total, rest);
}

static Scan scan(const float* x, int64_t n, float* block_max) {
  const F limit = set1(3.4028235e38f), lowest = set1(-__builtin_inff());
  I bad = set1_int(0);
  float best = -__builtin_inff();
  for (int64_t begin = 0; begin < n; begin += kScanBlock) {
    const int64_t end = begin + kScanBlock < n ? begin + kScanBlock : n;
    F most = lowest;
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      const F v = load(x + i);
      bad = count_not_le(bad, v, limit);
      most = max(most, v);
    }
    if (i < end) {
      const F v = keep_lanes(load_n(x + i, (int)(end - i)), 0, (int)(end - i), -__builtin_inff());
      bad = count_not_le(bad, v, limit);
      most = max(most, v);
    }
    const float block = largest(most);
    block_max[begin / kScanBlock] = block;
    best = best > block ? best : block;
  }
  return {best, any(bad)};
}

static void weigh(const float* x, int64_t n, float largest, float temperature, float* weights,
                  float* block_sums) {
  const F top = set1(largest), t = set1(temperature);
  for (int64_t begin = 0; begin < n; begin += kSumBlock) {
    const int64_t end = begin + kSumBlock < n ? begin + kSumBlock : n;
    F total = zero();
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      const F w = exp(div(sub(load(x + i), top), t));
      store(weights + i, w);
      total = add(total, w);
    }
    if (i < end) {
      const int rest = (int)(end - i);
      const F w = keep_lanes(exp(div(sub(load_n(x + i, rest), top), t)), 0, rest, 0.0f);
      store_n(weights + i, w, rest);
      total = add(total, w);
    }
    block_sums[begin / kSumBlock] = sum(total);
  }
}

}  // namespace quire::QR_LEVEL
