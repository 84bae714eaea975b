// SPDX-License-Identifier: Apache-2.0
/** examples/models with weights of safetensors files, against outputs that PyTorch computed (fixtures/generate.py). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { expect } from 'chai';

import { blobFiles } from '../../examples/models/checkpoint/files.js';
import { folderFiles } from '../../examples/models/checkpoint/node_files.js';
import { generate } from '../../examples/models/decoder/generate.js';
import { disposeModel } from '../../examples/models/layers/apply.js';
import { loadPretrained } from '../../examples/models/pretrained.js';
import { layers } from '../../src/index.js';
import { saveAndLoad, valuesOf } from '../support/layer_models.js';
import { withoutLeak } from '../support/leaks.js';
import { onBackends } from './backends.js';
import { cases, filesOf, tensorsOf } from './tiny_checkpoint.js';
import type { Case, Dtype } from './tiny_checkpoint.js';

const DTYPES: readonly Dtype[] = ['F32', 'BF16', 'F16'];
const filesFor = (each: Case, dtypes = DTYPES, parts = 1) =>
  blobFiles(filesOf(each.config, tensorsOf(each, dtypes), parts));
const tokensOf = ({ tokens }: Case) => tf.tensor2d(tokens, undefined, 'int32');

/** Whether values are those of a case's output, at steps that are no padding. */
function expectOutput(
  got: Float32Array,
  { shape, values }: Case['outputs'][number],
  tokens: number[][] = [],
): void {
  expect(got.length).to.equal(values.length);
  const [, , width] = shape;
  const isPadding = (index: number) =>
    width !== undefined && tokens.flat()[Math.floor(index / width)] === 0;
  let greatest = 0;
  got.forEach((value, index) => {
    if (!isPadding(index)) greatest = Math.max(greatest, Math.abs(value - values[index]!));
    if (!Number.isFinite(value)) throw new Error(`${value} at ${index}`);
  });
  expect(greatest).to.be.below(2e-5);
}

const bertInputs = (each: Case) => [tokensOf(each), tf.tensor2d(each.types!, undefined, 'int32')];

async function greedy(model: tfl.LayersModel, prompt: number[], maxTokens: number) {
  const written = [];
  for await (const token of generate(model, prompt, { maxTokens })) written.push(token);
  return written;
}

onBackends('pretrained models', () => {
  for (const name of [
    'qwen3',
    'qwen3 with biases and a head of its own',
    'gemma3',
    'gemma3 with capped scores',
  ] as const) {
    const each = cases[name];

    it(`${name}: logits are PyTorch's`, () =>
      withoutLeak(async () => {
        const parts = name === 'gemma3' ? 3 : 1;
        const { model, kind, unused } = await loadPretrained(filesFor(each, DTYPES, parts));
        expect({ kind, unused }).to.deep.equal({ kind: 'decoder', unused: [] });
        const got = await valuesOf(() => model.apply(tokensOf(each)) as tf.Tensor);
        expectOutput(got, each.outputs[0]!);
        disposeModel(model);
      }));

    it(`${name}: step by step through the cache, too`, () =>
      withoutLeak(async () => {
        const { model } = await loadPretrained(filesFor(each));
        const cache = layers.makeCache(model, 2, 7);
        const got = await valuesOf(() => {
          const tokens = tokensOf(each);
          const parts = [0, 3, 4, 5, 6].map((at) => {
            const step = tf.slice(tokens, [0, at], [2, at === 0 ? 3 : 1]);
            return model.apply(step, { cache }) as tf.Tensor;
          });
          return tf.concat(parts, 1);
        });
        expectOutput(got, each.outputs[0]!);
        cache.dispose();
        disposeModel(model);
      }));
  }

  it('generation takes the likeliest token of the whole pass, each time', () =>
    withoutLeak(async () => {
      const { model } = await loadPretrained(filesFor(cases.gemma3));
      const prompt = cases.gemma3.tokens[0]!;
      const tokens = [...prompt];
      for (let i = 0; i < 5; i++) {
        const logits = await valuesOf(() => {
          const all = model.apply(tf.tensor2d([tokens], undefined, 'int32')) as tf.Tensor3D;
          return tf.slice(all, [0, tokens.length - 1, 0], [1, 1, -1]);
        });
        tokens.push(logits.indexOf(Math.max(...logits)));
      }
      const written = await greedy(model, prompt, 5);
      expect(written).to.deep.equal(tokens.slice(prompt.length));
      disposeModel(model);
    }));

  it('generation stops at a stop token, and leaves nothing behind when it is left', () =>
    withoutLeak(async () => {
      const { model } = await loadPretrained(filesFor(cases.qwen3), { castTo: 'bfloat16' });
      const [first, second] = await greedy(model, [3, 14], 2);
      for await (const token of generate(model, [3, 14])) {
        expect(token).to.equal(first);
        break;
      }
      const stopped = [];
      const stopTokens = [second!];
      for await (const token of generate(model, [3, 14], { stopTokens })) stopped.push(token);
      expect(stopped).to.deep.equal(first === second ? [] : [first]);
      disposeModel(model);
    }));

  it('generation refuses a prompt that is empty or has unknown tokens', () =>
    withoutLeak(async () => {
      const { model } = await loadPretrained(filesFor(cases.qwen3));
      for (const [prompt, message] of [
        [[], /the prompt is empty/],
        [[1, 24], /the token 24, and the model knows 0 to 23/],
        [[0.5], /the token 0.5/],
      ] as const) {
        const failure = await generate(model, prompt)
          .next()
          .then(
            () => null,
            (error: Error) => error.message,
          );
        expect(failure).to.match(message);
      }
      disposeModel(model);
    }));

  it("bert: hidden states and pooled output are PyTorch's, with padding", () =>
    withoutLeak(async () => {
      const each = cases.bert;
      const { model, kind } = await loadPretrained(filesFor(each));
      expect(kind).to.equal('encoder');
      const outputs = tf.tidy(() => model.apply(bertInputs(each)) as tf.Tensor[]);
      const [states, pooled] = await Promise.all(outputs.map((output) => output.data()));
      expectOutput(states as Float32Array, each.outputs[0]!, each.tokens);
      expectOutput(pooled as Float32Array, each.outputs[1]!);
      tf.dispose(outputs);
      disposeModel(model);
    }));

  it('bert: inside a model for another task, with the old names of norms, without a pooler', () =>
    withoutLeak(async () => {
      const each = cases.bert;
      const renamed = (name: string) =>
        `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`;
      const tensors = Object.entries(tensorsOf(each, ['F32']))
        .filter(([name]) => !name.startsWith('pooler'))
        .map(([name, entry]) => [renamed(name), entry] as const);
      const head = { dtype: 'F32', shape: [1], bytes: new Uint8Array(4) };
      const files = filesOf(
        { ...each.config, architectures: ['BertForMaskedLM'] },
        Object.fromEntries([...tensors, ['cls.predictions.bias', head]]),
      );
      const { model, unused } = await loadPretrained(blobFiles(files));
      expect(unused).to.deep.equal(['cls.predictions.bias']);
      const got = await valuesOf(() => model.apply(bertInputs(each)) as tf.Tensor);
      expectOutput(got, each.outputs[0]!, each.tokens);
      disposeModel(model);
    }));

  it('a loaded model is saved and loaded like any other, its tied table once', () =>
    withoutLeak(async () => {
      const each = cases.gemma3;
      const { model } = await loadPretrained(filesFor(each));
      const copy = await saveAndLoad(model);
      const got = await valuesOf(() => copy.apply(tokensOf(each)) as tf.Tensor);
      expectOutput(got, each.outputs[0]!);
      expect(copy.countParams()).to.equal(model.countParams());
      disposeModel(copy);
      disposeModel(model);
    }));

  it('reads the files of a folder', () =>
    withoutLeak(async () => {
      const each = cases.qwen3;
      const folder = await mkdtemp(path.join(os.tmpdir(), 'tfjs-xformers-models-'));
      try {
        for (const [name, blob] of filesOf(each.config, tensorsOf(each, ['BF16']), 2)) {
          await writeFile(path.join(folder, name), Buffer.from(await blob.arrayBuffer()));
        }
        const told: string[] = [];
        const onLayer = (done: number, total: number) => told.push(`${done}/${total}`);
        const { model } = await loadPretrained(folderFiles(folder), { onLayer });
        expect(told.at(-1)).to.equal('14/14');
        const got = await valuesOf(() => model.apply(tokensOf(each)) as tf.Tensor);
        expectOutput(got, each.outputs[0]!);
        disposeModel(model);
      } finally {
        await rm(folder, { recursive: true });
      }
    }));
});
