// SPDX-License-Identifier: Apache-2.0
/** Host side of MemoryEfficientAttention and its gradients in the native library. */
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { unpackInputs } from '../../kernel_names.js';
import type { AttentionAttrs, AttentionGradInputs, AttentionInputs } from '../../kernel_names.js';
import {
  forwardInEveryLayout,
  gradientInEveryLayout,
  otherInEveryLayout,
} from '../attention_layout.js';
import { attentionParams } from '../attention_params.js';
import { OpAttributes, execute, tensorFlowBackend } from '../backend.js';
import type { Binding } from '../backend.js';

type KernelCall = Parameters<KernelFunc>[0];

/** The attributes that forward and backward have in common. */
function attentionAttributes(
  binding: Binding,
  attrs: AttentionAttrs,
  { query, value, bias, sink }: AttentionInputs<TensorInfo>,
): OpAttributes {
  return new OpAttributes(binding)
    .storage('T', attrs.dtype)
    .storage('Toutput', attrs.outputDtype)
    .type('Tbias', attrs.biasKind === 'bool' ? binding.TF_BOOL : binding.TF_FLOAT)
    .count('Nbias', bias)
    .count('Nsink', sink)
    .int('key_dim', query.shape[3]!)
    .int('value_dim', value.shape[3]!);
}

const attention: KernelFunc = (call) => {
  const attrs = call.attrs as unknown as AttentionAttrs;
  const inputs = unpackInputs<AttentionInputs<TensorInfo>>(attrs.present, call.inputs);
  const { query, key, value, bias, sink } = inputs;
  const backend = tensorFlowBackend(call.backend);
  const [batch, queries, heads] = query.shape as [number, number, number];
  return execute(
    backend,
    {
      op: 'TfxfAttentionV1',
      attributes: attentionAttributes(backend.binding, attrs, inputs),
      inputs: [query, key, value, bias, sink],
      params: attentionParams(attrs),
    },
    [
      [batch, queries, heads, value.shape[3]!],
      [batch, heads, queries],
    ],
  );
};

/** Runs one of the gradient ops, which all take the same inputs. */
function gradient(
  { backend: anyBackend, attrs: anyAttrs, inputs: list }: KernelCall,
  op: string,
  shapesOf: (inputs: AttentionGradInputs<TensorInfo>) => number[][],
): TensorInfo[] {
  const attrs = anyAttrs as unknown as AttentionAttrs;
  const inputs = unpackInputs<AttentionGradInputs<TensorInfo>>(attrs.present, list);
  const backend = tensorFlowBackend(anyBackend);
  const { query, key, value, bias, sink, doutput, output, logSumExp, dlogSumExp } = inputs;
  const attributes = attentionAttributes(backend.binding, attrs, inputs);
  return execute(
    backend,
    {
      op,
      attributes: attributes.count('Ndlse', dlogSumExp),
      inputs: [query, key, value, bias, sink, doutput, output, logSumExp, dlogSumExp],
      params: attentionParams(attrs),
    },
    shapesOf(inputs),
  );
}

export const nativeAttention = forwardInEveryLayout(attention);

const attentionGrad: KernelFunc = (call) =>
  gradient(call, 'TfxfAttentionGradV1', ({ query, key, value }) => [
    query.shape,
    key.shape,
    value.shape,
  ]);

export const nativeAttentionGrad = gradientInEveryLayout(attentionGrad);

export const nativeAttentionBiasGrad = otherInEveryLayout((call) =>
  gradient(call, 'TfxfAttentionBiasGradV1', ({ bias }) => [bias!.shape]),
);

export const nativeAttentionSinkGrad = otherInEveryLayout((call) =>
  gradient(call, 'TfxfAttentionSinkGradV1', ({ sink }) => [sink!.shape]),
);
