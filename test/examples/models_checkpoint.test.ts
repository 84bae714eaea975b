// SPDX-License-Identifier: Apache-2.0
/** Checkpoints that are incomplete, damaged or of another model: what examples/models say about them. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect } from 'chai';

import { CheckpointError } from '../../examples/models/checkpoint/error.js';
import { blobFiles } from '../../examples/models/checkpoint/files.js';
import { floatValues } from '../../examples/models/checkpoint/float_values.js';
import { folderFiles } from '../../examples/models/checkpoint/node_files.js';
import { gemma3Config, qwen3Config } from '../../examples/models/decoder/families.js';
import { bertConfig } from '../../examples/models/encoder/bert.js';
import { LearnedPositions } from '../../examples/models/layers/learned_positions.js';
import { loadPretrained } from '../../examples/models/pretrained.js';
import { withoutLeak } from '../support/leaks.js';
import { toBFloat16Bits, toFloat16Bits } from './half_bits.js';
import { cases, filesOf, safetensors, tensorsOf } from './tiny_checkpoint.js';
import type { Entry } from './tiny_checkpoint.js';

const { qwen3, gemma3, bert } = cases;
const whole = () => tensorsOf(qwen3, ['F32']);

/** Whether files are refused with a message, and nothing of them is left. */
function expectRefusal(files: Map<string, Blob>, message: RegExp, kind: unknown = CheckpointError) {
  return withoutLeak(async () => {
    const failure: unknown = await loadPretrained(blobFiles(files)).then(
      () => null,
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(kind);
    expect((failure as Error).message).to.match(message);
  });
}

/** The files with one tensor changed. */
function withTensor(name: string, entry: Entry): Map<string, Blob> {
  return filesOf(qwen3.config, { ...whole(), [name]: entry });
}

function without(files: Map<string, Blob>, name: string): Map<string, Blob> {
  files.delete(name);
  return files;
}

describe('checkpoints', () => {
  before(() => tf.setBackend('cpu'));

  describe('are refused', () => {
    it('without a file', async () => {
      const files = () => filesOf(qwen3.config, whole());
      await expectRefusal(without(files(), 'config.json'), /no config\.json in the chosen files/);
      await expectRefusal(without(files(), 'model.safetensors'), /no model\.safetensors in/);
      const part = 'model-00002-of-00002.safetensors';
      await expectRefusal(
        without(filesOf(qwen3.config, whole(), 2), part),
        /no model-00002-of-00002/,
      );
    });

    it('of an architecture that is not known', async () => {
      const config = { ...qwen3.config, architectures: ['MambaForCausalLM'] };
      const known = /architectures has MambaForCausalLM, and known are Qwen3ForCausalLM, Gemma3/;
      await expectRefusal(filesOf(config, whole()), known);
      const nameless = { ...qwen3.config, architectures: undefined };
      await expectRefusal(filesOf(nameless, whole()), /architectures has no name/);
      const inherited = { ...qwen3.config, architectures: ['toString'] };
      await expectRefusal(filesOf(inherited, whole()), /architectures has toString/);
    });

    it('that lack weights, the first of which are named', async () => {
      const kept = Object.entries(whole()).filter(([name]) => !name.includes('mlp'));
      const message =
        /lacks weights .*: model\.layers\.0\.mlp\.gate_proj\.weight, .*… 6 in all\. Download/;
      await expectRefusal(filesOf(qwen3.config, Object.fromEntries(kept)), message);
    });

    it('with weights of another shape than config.json has', () =>
      expectRefusal(
        filesOf({ ...qwen3.config, intermediate_size: 32 }, whole()),
        /mlp\.gate_proj\.weight has the shape \[24, 16\], and by config\.json it should be \[32, 16\]/,
      ));

    it('with weights of another dtype, or of too few bytes, though the model was begun', async () => {
      const name = 'model.norm.weight';
      const quantized = { dtype: 'F8_E4M3', shape: [16], bytes: new Uint8Array(16) };
      await expectRefusal(withTensor(name, quantized), /norm\.weight .* F8_E4M3; .*not quantized/);
      const short = { dtype: 'F32', shape: [16], bytes: new Uint8Array(60) };
      await expectRefusal(withTensor(name, short), /has 60 bytes; F32 \[16\] takes 64/);
    });

    it('with a file that is cut off, or none of the format', async () => {
      const files = (weights: Blob) =>
        filesOf(qwen3.config, whole()).set('model.safetensors', weights);
      const good = safetensors(whole());
      const html = new Blob(['<!doctype html><p>Sign in</p>']);
      await expectRefusal(files(good.slice(0, good.size - 4)), /model\.norm\.weight is beyond/);
      await expectRefusal(files(good.slice(0, 100)), /its header would take/);
      await expectRefusal(files(new Blob(['abc'])), /it has 3 bytes/);
      await expectRefusal(files(html), /its header would take .* Download it again/);
      const length = new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0]);
      await expectRefusal(files(new Blob([length, '{['])), /its header is no JSON/);
      const strange = new Blob([new Uint8Array([10, 0, 0, 0, 0, 0, 0, 0]), '{"a": [1]}']);
      await expectRefusal(files(strange), /describes a in a way unknown/);
    });

    it('with JSON that is none', async () => {
      const files = filesOf(qwen3.config, whole()).set('config.json', new Blob(['{']));
      await expectRefusal(files, /config\.json is no JSON/, SyntaxError);
      const index = 'model.safetensors.index.json';
      const empty = filesOf(qwen3.config, whole()).set(index, new Blob(['{}']));
      await expectRefusal(empty, /has no weight_map/);
    });

    it('with an index that leads out of the folder', async () => {
      const files = folderFiles('.');
      expect(await files.open('../package.json')).to.equal(null);
      expect(await files.open('there-is-no-such-file')).to.equal(null);
    });
  });

  describe('config.json', () => {
    it('of Qwen3 gives windows, biases and scaled positions', () => {
      const config = qwen3Config({
        ...qwen3.config,
        ...{ use_sliding_window: true, max_window_layers: 1, sliding_window: 5 },
        ...{ max_position_embeddings: 40, rope_scaling: { type: 'yarn', factor: 4 } },
      });
      const scaling = { type: 'yarn', factor: 4, originalMaxPositionEmbeddings: 40 };
      expect(config.blocks).to.deep.equal([
        { windowSize: null, rope: { base: 1e6, scaling } },
        { windowSize: 5, rope: { base: 1e6, scaling } },
      ]);
    });

    it('of transformers 5 means the same as of older ones', () => {
      const { rope_theta, rope_local_base_freq, rope_scaling, sliding_window_pattern, ...rest } =
        gemma3.config;
      expect(sliding_window_pattern).to.equal(3);
      const newer = {
        ...rest,
        layer_types: ['sliding_attention', 'sliding_attention', 'full_attention'],
        rope_parameters: {
          full_attention: { ...(rope_scaling as object), rope_theta },
          sliding_attention: { rope_type: 'default', rope_theta: rope_local_base_freq },
        },
      };
      expect(gemma3Config(newer)).to.deep.equal(gemma3Config(gemma3.config));
      const { rope_theta: base, ...others } = qwen3.config;
      const flat = { ...others, rope_parameters: { rope_type: 'default', rope_theta: base } };
      expect(qwen3Config(flat)).to.deep.equal(qwen3Config(qwen3.config));
    });

    it('with a value that cannot be taken is refused by its name', () => {
      const refusals: [() => unknown, RegExp][] = [
        [() => qwen3Config({ ...qwen3.config, hidden_size: undefined }), /hidden_size .* missing/],
        [() => qwen3Config({ ...qwen3.config, vocab_size: '24' }), /vocab_size .*is "24"/],
        [
          () => qwen3Config({ ...qwen3.config, num_key_value_heads: 3 }),
          /a divisor .* 4, and is 3/,
        ],
        [() => qwen3Config({ ...qwen3.config, hidden_act: 'relu' }), /one of silu, gelu_pytorch/],
        [() => qwen3Config({ ...qwen3.config, layer_types: ['full_attention'] }), /a list of 2/],
        [
          () => qwen3Config({ ...qwen3.config, rope_scaling: { rope_type: 'dynamic' } }),
          /rope_scaling\.rope_type must be default, linear, llama3 or yarn, and is "dynamic"/,
        ],
        [
          () => gemma3Config({ ...gemma3.config, use_bidirectional_attention: true }),
          /use_bidirectional_attention must be false/,
        ],
        [() => bertConfig({ ...bert.config, pad_token_id: 1 }, true), /pad_token_id must be 0/],
        [
          () => bertConfig({ ...bert.config, position_embedding_type: 'relative_key' }, true),
          /position_embedding_type must be one of absolute/,
        ],
        [() => bertConfig({ ...bert.config, num_attention_heads: 3 }, true), /a multiple of .* 3/],
      ];
      for (const [make, message] of refusals) {
        expect(make).to.throw(CheckpointError, message);
      }
    });
  });

  it('float16 and bfloat16 bits become the numbers they are', () => {
    const numbers = [0, 1, -1.5, 0.1875, 2 ** -14, -65504, 2 ** 15];
    const half = Uint16Array.from(numbers, toFloat16Bits);
    expect([...floatValues('F16', half.buffer)]).to.deep.equal(numbers);
    // Subnormal ones, infinities and NaN, by the standard.
    const special = Uint16Array.from([0x0001, 0x03ff, 0x8001, 0x7c00, 0xfc00, 0x7e00, 0x8000]);
    const values = [2 ** -24, 1023 * 2 ** -24, -(2 ** -24), Infinity, -Infinity, NaN, -0];
    expect([...floatValues('F16', special.buffer)]).to.deep.equal(values);
    const wide = [0, -1.5, 2 ** 100, -(2 ** -126), Infinity];
    const bits = Uint16Array.from(wide, toBFloat16Bits);
    expect([...floatValues('BF16', bits.buffer)]).to.deep.equal(wide);
  });

  it('a sequence longer than the table of positions is refused', () =>
    withoutLeak(() => {
      const layer = new LearnedPositions({ name: 'positions', positions: 3 });
      const x = tf.zeros([1, 4, 2]);
      expect(() => tf.tidy(() => layer.apply(x) as tf.Tensor)).to.throw(
        RangeError,
        /positions: the input has 4 steps, and there are 3 positions/,
      );
      layer.dispose();
      x.dispose();
    }));
});
