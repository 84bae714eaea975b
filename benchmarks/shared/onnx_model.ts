// SPDX-License-Identifier: Apache-2.0
/**
 * Models of one node for onnxruntime, as ONNX protobuf bytes: a protobuf message is a sequence of
 * (field number, wire type, value), and the handful of messages below needs varints, 32-bit floats
 * and length-prefixed bytes only. Field numbers are those of onnx.proto.
 */

const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

/** onnx.proto's codes. */
const TENSOR_TYPES = { float32: 1, int32: 6 } as const;
const ATTRIBUTE_FLOAT = 1;
const ATTRIBUTE_INT = 2;
const IR_VERSION = 8;
const OPSET = 17;

type Message = number[];

function varint(value: number): Message {
  const bytes: Message = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  bytes.push(value);
  return bytes;
}

const integer = (field: number, value: number) => [...varint(field * 8 + VARINT), ...varint(value)];

const float = (field: number, value: number) => [
  ...varint(field * 8 + FIXED32),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

function nested(field: number, content: Message | string): Message {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : content;
  return [...varint(field * 8 + BYTES), ...varint(bytes.length), ...bytes];
}

/** A tensor of a known shape. */
export interface TensorSpec {
  /** '' stands for an optional one that is left out. */
  name: string;
  shape: readonly number[];
  /** float32 if it does not say. */
  type?: keyof typeof TENSOR_TYPES;
}

/** ValueInfoProto */
function valueInfo({ name, shape, type = 'float32' }: TensorSpec): Message {
  const dims = shape.flatMap((size) => nested(1, integer(1, size)));
  const tensorType = [...integer(1, TENSOR_TYPES[type]), ...nested(2, dims)];
  return [...nested(1, name), ...nested(2, nested(1, tensorType))];
}

/** AttributeProto */
function attribute(name: string, value: { int: number } | { float: number }): Message {
  return 'int' in value
    ? [...nested(1, name), ...integer(3, value.int), ...integer(20, ATTRIBUTE_INT)]
    : [...nested(1, name), ...float(2, value.float), ...integer(20, ATTRIBUTE_FLOAT)];
}

export interface OneNode {
  op: string;
  /** '' is ONNX's own set of operators. */
  domain: '' | 'com.microsoft';
  attributes: Record<string, { int: number } | { float: number }>;
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
}

const isThere = ({ name }: TensorSpec) => name !== '';

/** ModelProto of a graph with this node alone. */
export function oneNodeModel({ op, domain, attributes, inputs, outputs }: OneNode): Uint8Array {
  const node = [
    ...inputs.flatMap(({ name }) => nested(1, name)),
    ...outputs.flatMap(({ name }) => nested(2, name)),
    ...nested(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => nested(5, attribute(name, value))),
    ...nested(7, domain),
  ];
  const graph = [
    ...nested(1, node),
    ...nested(2, op),
    ...inputs.filter(isThere).flatMap((input) => nested(11, valueInfo(input))),
    ...outputs.filter(isThere).flatMap((output) => nested(12, valueInfo(output))),
  ];
  const operatorSet = (name: string, version: number) =>
    nested(8, [...nested(1, name), ...integer(2, version)]);
  return Uint8Array.from([
    ...integer(1, IR_VERSION),
    ...nested(7, graph),
    ...operatorSet('', OPSET),
    ...operatorSet('com.microsoft', 1),
  ]);
}
