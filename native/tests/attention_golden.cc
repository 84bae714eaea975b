// SPDX-License-Identifier: Apache-2.0
/** From index.json to problems; a mask by the name of its xFormers class, from that class' definition. */
#include "tests/attention_golden.h"

#include <algorithm>
#include <cmath>

#include "tests/golden.h"
#include "tests/runner.h"

namespace tfxf {
namespace test {
namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/** Where each block's keys begin: as given, in rooms of equal size, or one after the other. */
std::vector<int64_t> key_starts(const Json& spec, const std::vector<int64_t>& lengths) {
  if (spec.has("kvSeqstarts")) return spec.at("kvSeqstarts").integers();
  std::vector<int64_t> starts = {0};
  for (const int64_t length : lengths) {
    const bool padded = spec.has("kvPadding");
    starts.push_back(starts.back() +
                     (padded ? static_cast<int64_t>(spec.at("kvPadding").number) : length));
  }
  return starts;
}

MaskSpec mask_from(const Json& spec) {
  MaskSpec mask;
  const std::string& type = spec.at("type").text;
  const auto number = [&](const char* name) { return static_cast<int64_t>(spec.at(name).number); };
  if (has(type, "Causal") || has(type, "LowerTriangular")) mask.right = 0;
  if (spec.has("windowSize")) mask.left = number("windowSize") - 1;
  if (spec.has("windowLeft")) mask.left = number("windowLeft");
  if (spec.has("windowRight")) mask.right = number("windowRight");
  mask.bottom_right = has(type, "BottomRight") || has(type, "WithOffset") ||
                      (has(type, "Local") && has(type, "PaddedKeys"));
  if (!spec.has("qSeqlen")) return mask;
  const std::vector<int64_t> queries = spec.at("qSeqlen").integers();
  const std::vector<int64_t> keys = spec.at("kvSeqlen").integers();
  const std::vector<int64_t> starts = key_starts(spec, keys);
  for (size_t n = 0; n < queries.size(); n++) {
    mask.blocks.push_back({queries[n], starts[n], keys[n], {}});
  }
  return mask;
}

BiasSpec bias_from(const Json& spec, const AttentionShape& s, uint32_t seed) {
  BiasSpec bias;
  if (!spec.has("shape")) return bias;
  const int64_t full[4] = {s.batch, s.heads, s.queries, s.keys};
  const std::string& code = spec.at("shape").text;
  for (size_t axis = 0; axis < 4; axis++) bias.shape[axis] = code[axis] == '1' ? 1 : full[axis];
  bias.kind = BiasKind::kFloat;
  bias.values = draw_tensor(seed, size_of(bias.shape), DType::kFloat32, 1.5);
  if (!spec.at("negInf").boolean) return bias;
  for (int64_t i = 0; i < s.queries - 1; i++) {
    for (int64_t j = 0; j < s.keys - 1; j++) bias.values[static_cast<size_t>(i * s.keys + j)] = -HUGE_VALF;
  }
  return bias;
}

GoldenAttention case_from(const Json& entry) {
  GoldenAttention c;
  c.name = entry.at("name").text;
  c.rows = entry.at("rows").integers();
  c.kv_rows = entry.at("kvRows").integers();
  AttentionProblem& p = c.problem;
  const std::vector<int64_t> d = entry.at("dims").integers();
  p.shape = {d[0], d[1], d[2], d[3], d[4], d[5], d[6]};
  p.dtype = entry.at("dtype").text == "bfloat16" ? DType::kBFloat16 : DType::kFloat32;
  p.output_dtype = p.dtype;
  const uint32_t seed = static_cast<uint32_t>(entry.at("seed").number);
  const double query_scale = entry.at("qscale").number;
  const double standard = 1.0 / std::sqrt(static_cast<double>(d[5]));
  const double scale = entry.has("scale") ? entry.at("scale").number : standard;
  p.scale = static_cast<float>(scale);
  p.query = draw_tensor(seed, size_of(query_shape(p)), p.dtype, query_scale);
  p.key = draw_tensor(seed + 1, size_of(key_shape(p)), p.dtype);
  p.value = draw_tensor(seed + 2, size_of(value_shape(p)), p.dtype);
  p.doutput = draw_tensor(seed + 3, size_of(output_shape(p)), p.dtype);
  p.mask = mask_from(entry.at("attnBias"));
  p.bias = bias_from(entry.at("attnBias"), p.shape, seed + 4);
  c.query_unit = std::max(1.0, std::fabs(scale) / standard);
  c.key_unit = c.query_unit * std::max(1.0, query_scale);
  return c;
}

}  // namespace

std::vector<GoldenAttention> golden_attention() {
  std::vector<GoldenAttention> cases;
  for (const Json& entry : golden_index().at("attention").items) cases.push_back(case_from(entry));
  return cases;
}

Shape with_rows(Shape shape, size_t axis, const std::vector<int64_t>& rows) {
  if (!rows.empty()) shape[axis] = static_cast<int64_t>(rows.size());
  return shape;
}

}  // namespace test
}  // namespace tfxf
