// A model of two layers: the same text as one prompt, and token by token behind a shorter one.
#include <string.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "device.h"

namespace conformance {
namespace {

constexpr int kHidden = 256, kHeads = 4, kKvHeads = 2, kDim = 64, kInner = 256, kVocab = 384, kLayers = 2;
constexpr int kQkv = (kHeads + 2 * kKvHeads) * kDim, kBlock = 16, kBlocks = 16, kText = 70, kPrompt = 57;

struct Layer {
  Packed q, kv, o, gate_up, down;
  Layer(Rig& rig, Random& random)
      : q(rig, QR_Q4_0, kHeads * kDim, kHidden, random), kv(rig, QR_Q8_0, 2 * kKvHeads * kDim, kHidden, random),
        o(rig, QR_Q4_1, kHidden, kHeads * kDim, random), gate_up(rig, QR_BF16, 2 * kInner, kHidden, random),
        down(rig, QR_Q6_K, kHidden, kInner, random) {}
};

class Model {
 public:
  Model(Rig& rig, int kv_type)
      : rig_(rig), kv_type_(kv_type), region_(kBlocks * kKvHeads * head_bytes(kv_type, kDim, kBlock)), table_(rig, QR_Q4_0, kVocab, kHidden, random_), norm_(rig.device, std::vector<float>(kHidden, 1)),
        cos_sin_(rig.device, rotation()), x_(rig.device, kText * kHidden * 4), y_(rig.device, kText * kQkv * 4),
        qkv_(rig.device, kText * kQkv * 4), gate_up_(rig.device, kText * 2 * kInner * 4), rows_(rig.device, kText * kHidden * 4),
        logits_(rig.device, kText * kVocab * 4), cache_(rig.device, 2 * kLayers * region_) {
    for (int l = 0; l < kLayers; l++) layers_.push_back(std::make_unique<Layer>(rig, random_));
    record();
  }

  /// Logits of positions [from, to) of the text; the sequence lies in blocks first, first + 2, ...
  std::vector<float> run(int from, int to, int first_block) {
    StepData step;
    step.table_stride = kBlocks;
    for (int b = 0; b < kBlocks; b++) step.blocks.push_back((first_block + 2 * b) % kBlocks);
    for (int p = from; p < to; p++) {
      step.token.push_back(p * 31 % kVocab);
      step.position.push_back(p);
      step.slot.push_back(step.blocks[static_cast<size_t>(p / kBlock)] * kBlock + p % kBlock);
      step.logits_row.push_back(p - from);
    }
    step.query_start.push_back(to - from);
    QrSampleRow sample = {};
    sample.target = sample.logprobs = -1;
    step.samples.push_back(sample);
    const QrStep view = step.view();
    const int32_t n = static_cast<int32_t>(ops_.size());
    check(qr_reserve(rig_.device, ops_.data(), n, &view) == QR_OK, "the model's memory is reserved");
    const uint64_t free = free_bytes();
    check(qr_submit(rig_.device, ops_.data(), n, &view) == QR_OK && qr_wait(rig_.device) == QR_OK, "the model runs");
    check(free_bytes() == free, "a step takes %lld bytes beyond those reserved", static_cast<long long>(free - free_bytes()));
    std::vector<float> all = logits_.read<float>();
    all.resize(static_cast<size_t>((to - from) * kVocab));
    const std::vector<float>::iterator best = std::max_element(all.begin(), all.begin() + kVocab);
    check(step.out_token[0] == static_cast<int32_t>(best - all.begin()), "greedy takes the largest logit");
    return all;
  }

  /// Tokens that two sequences get, in a step together and in turns the first: each waited for, or carried on the device
  /// from a step to the next, which is submitted before.
  std::vector<int32_t> generate(bool carried) {
    std::vector<std::vector<int32_t>> texts = {{5, 9, 300, 41}, {77, 2, 8, 190, 33, 6}};
    std::vector<size_t> planned = {0, 0};
    std::deque<StepData> steps;
    std::deque<QrStep> views;  // which a list in flight still reads
    const int32_t n = static_cast<int32_t>(ops_.size());
    std::vector<int32_t> drawn;
    auto settle = [&](size_t step) {
      check(qr_wait(rig_.device) == QR_OK && steps[step].nanos > 0, "a step ends");
      for (size_t i = 0; i < 2; i++) {
        const int32_t token = steps[step].out_token[i];
        drawn.push_back(token);
        texts[(step + i) % 2].push_back(token);
      }
    };
    for (size_t step = 0; step < 12; step++) {
      StepData& data = steps.emplace_back();
      data.table_stride = kBlocks / 2;
      for (size_t i = 0; i < 2; i++) {
        const size_t sequence = (step + i) % 2, known = texts[sequence].size(), to = planned[sequence] == 0 ? known : planned[sequence] + 1;
        for (int b = 0; b < kBlocks / 2; b++) data.blocks.push_back(2 * b + static_cast<int>(sequence));
        for (size_t p = planned[sequence]; p < to; p++) {
          data.token.push_back(p < known ? texts[sequence][p] : 0);
          data.carry.push_back(p < known ? -1 : static_cast<int32_t>(1 - i));
          data.position.push_back(static_cast<int32_t>(p));
          data.slot.push_back((static_cast<int>(p) / kBlock * 2 + static_cast<int>(sequence)) * kBlock + static_cast<int>(p) % kBlock);
        }
        planned[sequence] = to;
        data.query_start.push_back(static_cast<int32_t>(data.token.size()));
        data.logits_row.push_back(data.query_start.back() - 1);
        QrSampleRow sample = {};
        sample.row = static_cast<int32_t>(i);
        sample.target = -1;
        sample.temperature = sample.top_p = sample.repetition = 1;
        sample.seed = sequence;
        sample.position = static_cast<uint32_t>(to);
        data.samples.push_back(sample);
      }
      views.push_back(data.view());
      check(qr_submit(rig_.device, ops_.data(), n, &views.back()) == QR_OK, "a step queues");
      if (!carried) settle(step);
      if (carried && step > 0) settle(step - 1);
    }
    if (carried) settle(11);
    return drawn;
  }

  /// More lists than the queue holds, and tokens of samples that there were not.
  void refuse() {
    StepData data = StepData::rows(1);
    data.query_start = {0, 1};
    data.blocks.assign(kBlocks, 0);
    data.table_stride = kBlocks;
    data.carry = {2};
    QrStep view = data.view();
    const int32_t n = static_cast<int32_t>(ops_.size());
    check(qr_submit(rig_.device, ops_.data(), n, &view) == QR_INVALID, "the token of the third of two samples is refused");
    data.carry = {-2};
    view = data.view();
    view.n_carried = 1;
    check(qr_submit(rig_.device, ops_.data(), n, &view) == QR_INVALID, "a carry of -2 is refused");
    data.carry = {-1};
    view = data.view();
    for (int i = 0; i < 2; i++) check(qr_submit(rig_.device, ops_.data(), n, &view) == QR_OK, "two lists queue");
    check(qr_submit(rig_.device, ops_.data(), n, &view) == QR_INVALID, "a third does not");
    for (int i = 0; i < 2; i++) check(qr_wait(rig_.device) == QR_OK, "both end");
    check(qr_wait(rig_.device) == QR_INVALID, "and there is no third");
  }

 private:
  /// 0 on a GPU, whose driver loads kernels when they are first used.
  uint64_t free_bytes() const {
    QrDeviceInfo info = {};
    info.size = sizeof info;
    check(qr_device_info(rig_.device, &info) == QR_OK, "information about the device");
    return strcmp(info.name, "shim") == 0 ? info.free_bytes : 0;
  }

  Rig& rig_;
  const int kv_type_;
  const uint64_t region_;  // bytes of the keys of a layer, as of its values
  Random random_{21};
  Packed table_;
  std::vector<std::unique_ptr<Layer>> layers_;
  Piece norm_, cos_sin_, x_, y_, qkv_, gate_up_, rows_, logits_, cache_;
  std::deque<QrRmsNorm> norms_;
  std::deque<QrLinear> linears_;
  std::deque<QrRopeKv> ropes_;
  std::deque<QrAttention> attentions_;
  QrEmbed embed_ = {};
  QrGated gated_ = {};
  QrGatherRows gather_ = {};
  QrSample sample_ = {};
  std::vector<QrOp> ops_;

  static std::vector<float> rotation() {
    std::vector<float> table;
    for (int p = 0; p < kText; p++) {
      for (int i = 0; i < kDim; i++) {
        const double angle = p * pow(10000, -2.0 * (i % (kDim / 2)) / kDim);
        table.push_back(static_cast<float>(i < kDim / 2 ? cos(angle) : sin(angle)));
      }
    }
    return table;
  }
  void add(int opcode, const void* args, int flags = 0) { ops_.push_back({opcode, flags, reinterpret_cast<uint64_t>(args)}); }
  void norm(const Piece& x, const Piece& out, int flags = 0) {
    norms_.push_back({x.address(), out.address(), norm_.address(), kHidden, 1e-5f});
    add(QR_OP_RMS_NORM, &norms_.back(), flags);
  }
  void linear(const Piece& x, const Piece& out, std::vector<const Packed*> parts, int flags = 0) {
    QrLinear op = {x.address(), out.address(), 0, {}, 0, parts[0]->weight.cols, 0, 0};
    for (const Packed* part : parts) {
      op.parts[op.n_parts++] = part->weight;
      op.out_cols += static_cast<int32_t>(part->weight.rows);
    }
    linears_.push_back(op);
    add(QR_OP_LINEAR, &linears_.back(), flags);
  }
  void layer(const Layer& l, uint64_t keys) {
    const uint64_t values = keys + region_;
    norm(x_, y_);
    linear(y_, qkv_, {&l.q, &l.kv});
    ropes_.push_back({qkv_.address(), y_.address(), 0, 0, cos_sin_.address(), keys, values, kHeads, kKvHeads, kDim, kDim, kv_type_, kBlock, 1e-5f, 0});
    add(QR_OP_ROPE_KV, &ropes_.back());
    attentions_.push_back({y_.address(), rows_.address(), keys, values, kHeads, kKvHeads, kDim, kv_type_, kBlock, 0, 0.125f, 0});
    add(QR_OP_ATTENTION, &attentions_.back());
    linear(rows_, x_, {&l.o}, QR_ADD);
    norm(x_, y_);
    linear(y_, gate_up_, {&l.gate_up});
    gated_ = {gate_up_.address(), y_.address(), kInner, QR_SILU};
    add(QR_OP_GATED, &gated_);
    linear(y_, x_, {&l.down}, QR_ADD);
  }
  void record() {
    embed_ = {x_.address(), table_.weight, 1, 0};
    add(QR_OP_EMBED, &embed_);
    for (int l = 0; l < kLayers; l++) {
      layer(*layers_[static_cast<size_t>(l)], cache_.address() + static_cast<uint64_t>(l) * 2 * region_);
    }
    gather_ = {x_.address(), rows_.address(), kHidden, 0};
    add(QR_OP_GATHER_ROWS, &gather_);
    norm(rows_, y_, QR_ROWS_LOGITS);
    linear(y_, logits_, {&table_}, QR_ROWS_LOGITS);
    sample_ = {logits_.address(), kVocab, 0};
    add(QR_OP_SAMPLE, &sample_);
  }
};

}  // namespace

void model_case(Rig& rig) {
  std::vector<std::vector<float>> of_type;
  for (int kv_type : {QR_BF16, QR_KV_INT8, QR_KV_FP8}) {
    Model model(rig, kv_type);
    check(model.generate(true) == model.generate(false), "tokens carried on the device are those that the host would have given");
    model.refuse();
    of_type.push_back(model.run(0, kText, 0));
    const std::vector<float>& whole = of_type.back();
    model.run(0, kPrompt, 1);
    for (int p = kPrompt; p < kText; p++) {
      const std::vector<float> one = model.run(p, p + 1, 1);
      const std::vector<double> wanted(whole.begin() + p * kVocab, whole.begin() + (p + 1) * kVocab);
      const double error = distance(one, wanted);
      check(error < 0.03, "position %d decoded, kv %d: error %g against the whole prompt", p, kv_type, error);
    }
    const double error = distance(whole, std::vector<double>(of_type[0].begin(), of_type[0].end()));
    check(error < (kv_type == QR_KV_FP8 ? 0.05 : 0.02), "a cache of kv %d: error %g against bfloat16", kv_type, error);
  }
}

}  // namespace conformance
