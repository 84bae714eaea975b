// SPDX-License-Identifier: Apache-2.0
/** The variants of WebGPU's norm kernels, every one on the adapter at hand, as variants.ts does for attention. */
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { fusedLayerNorm } from '../../src/index.js';
import { compiledPrograms } from '../../src/webgpu/pipelines.js';
import { assumeFacts } from '../../src/webgpu/tuning.js';
import type { DeviceFacts } from '../../src/webgpu/tuning.js';
import { extraNormCases, goldenNormCases, longNormCases } from '../cases/norm.js';
import type { NormCase } from '../cases/norm.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose } from '../support/close.js';
import { itUnless, shownInNode } from '../support/cost.js';
import { draw } from '../support/draw.js';
import { pipelinesMadeBy } from '../support/gpu_work.js';
import { withoutLeak } from '../support/leaks.js';
import { once } from '../support/naive.js';
import { referenceNorm, referenceNormGradients } from '../support/reference_norm.js';
import { SeededRandom } from '../support/seeded_random.js';
import { checkNorm, randomNorm, withProblem } from './fuzz.js';
import {
  checkForward,
  checkGoldenForward,
  checkGoldenGradients,
  checkReferenceGradients,
  checkRerun,
  title,
} from './norm.js';

interface Family {
  name: string;
  facts: Partial<DeviceFacts>;
  /** What the keys of its pipelines say of their tile. */
  tile: RegExp;
  golden: (c: NormCase) => boolean;
  others: readonly NormCase[];
  /** Rounds of fuzz, of rows of at most 300 values. */
  rounds: number;
}

const columnsOf = ({ shape }: NormCase) => shape[shape.length - 1]!;

const FAMILIES: Family[] = [
  {
    name: 'lanes that share a row',
    facts: { software: false },
    tile: /"by":"lanes"/,
    golden: () => true,
    others: extraNormCases,
    rounds: 6,
  },
  {
    name: 'rows in segments, four lanes',
    facts: { software: false, maxInvocations: 4 },
    tile: /"by":"segments","lanes":4/,
    golden: (c) => columnsOf(c) > 128 && columnsOf(c) < 2000,
    others: longNormCases,
    rounds: 6,
  },
  {
    name: 'rows in segments, 64 lanes',
    facts: { software: false, maxInvocations: 64 },
    tile: /"by":"segments","lanes":64/,
    golden: (c) => columnsOf(c) > 2000,
    others: [],
    rounds: 0,
  },
  {
    name: 'one thread to a row',
    facts: { software: true },
    tile: /"by":"thread"/,
    // The suites run the others so on a software adapter.
    golden: ({ name }) => name === 'c257',
    others: [],
    rounds: 2,
  },
  {
    name: 'one thread to four rows, in blocks',
    facts: { software: true },
    tile: /"by":"blocks"/,
    golden: ({ name }) => name === 'c768',
    others: [],
    rounds: 0,
  },
];

/** A golden case of each family, or two. */
const STANDING = new Set(['c257', 'c768', 'c4096']);

/** On the device at hand, which is no software adapter: [rows, columns] of few long rows and of many short ones. */
const SHAPES: [number, number][] = [
  [1, 8192],
  [2, 8193],
  [2, 32768],
  [3000, 4],
  [4100, 64],
];

function deviceOf(): GPUDevice {
  return (tf.backend() as unknown as { device: GPUDevice }).device;
}

/** Layer norm of [rows, columns], and all gradients, against the float64 reference. */
async function checkShape(rows: number, channels: number): Promise<void> {
  const problem = {
    ...{ rows, channels, rms: false, epsilon: 1e-5 },
    ...{ x: draw(91, rows * channels), gamma: draw(92, channels), beta: draw(93, channels) },
  };
  const dy = draw(94, rows * channels);
  const values = await withoutLeak(async () => {
    const results = tf.tidy(() => {
      const leaves = [
        tf.tensor(problem.x, [rows, channels]),
        tf.tensor(problem.gamma),
        tf.tensor(problem.beta),
      ];
      const f = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) => fusedLayerNorm(x, gamma, beta);
      const gradients = tf.grads(f)(leaves, tf.tensor(dy, [rows, channels]));
      return [f(leaves[0]!, leaves[1]!, leaves[2]!), ...gradients];
    });
    const read = await Promise.all(results.map((x) => x.data() as Promise<Float32Array>));
    tf.dispose(results);
    return read;
  });
  const want = referenceNormGradients(problem, dy);
  const naive = once(() => referenceNormGradients(problem, dy, null, Math.fround));
  const forward = { kind: 'forward', dtype: 'float32' } as const;
  expectClose('output', values[0]!, referenceNorm(problem).output, {
    ...forward,
    naive: () => referenceNorm(problem, Math.fround).output,
  });
  for (const [n, name] of (['x', 'gamma', 'beta'] as const).entries()) {
    expectClose(`gradient of ${name}`, values[n + 1]!, want[name], {
      ...{ kind: 'gradient', dtype: 'float32' },
      unit: name === 'x' ? 1 : 'largest',
      naive: () => naive()[name],
    });
  }
}

export function suite(backend: TestBackend): void {
  if (backend.name !== 'webgpu') return;
  describe('variants of norms by device', function () {
    this.timeout(180000);

    afterEach(() => assumeFacts(deviceOf(), {}));

    for (const { name, facts, tile, golden, others, rounds } of FAMILIES) {
      const assuming = (check: () => Promise<void>) => async () => {
        assumeFacts(deviceOf(), facts);
        await check();
      };
      const goldens = goldenNormCases.filter(golden);
      for (const c of goldens) {
        const check = async () => {
          await checkGoldenForward(backend, c);
          await checkGoldenGradients(backend, c);
        };
        const reason = shownInNode(backend, STANDING.has(c.name));
        itUnless(reason, `norm · ${name} · ${title(c)}`, assuming(check));
      }
      for (const c of others) {
        const check = async () => {
          await checkForward(c, null);
          await checkReferenceGradients(c);
        };
        itUnless(shownInNode(backend), `norm · ${name} · ${title(c)}`, assuming(check));
      }
      for (let round = 0; round < rounds; round++) {
        const c = randomNorm(new SeededRandom(30500 + round));
        itUnless(
          shownInNode(backend),
          `norm · ${name} · fuzz ${round}`,
          assuming(() => withProblem(c, () => checkNorm(c))),
        );
      }
      it(
        `norm · ${name}: the same bits again`,
        assuming(() => checkRerun(goldens[0]!)),
      );
      it(`norm · ${name}: its pipelines ran`, () => {
        const ran = compiledPrograms(deviceOf()).filter((key) => tile.test(key));
        expect(ran).to.not.be.empty;
        console.log(`        ${ran.length} pipelines of the family "${name}" ran`);
      });
    }

    for (const [rows, columns] of SHAPES) {
      it(`norm · as on a GPU · ${rows} rows of ${columns}`, async () => {
        assumeFacts(deviceOf(), { software: false });
        await checkShape(rows, columns);
      });
    }

    for (const [title, columns, maxInvocations] of [
      ['lanes', 64, 256],
      ['segments', 136, 4],
    ] as const) {
      it(`norm · ${title}: another number of rows makes no new pipeline`, async () => {
        assumeFacts(deviceOf(), { software: false, maxInvocations });
        await checkShape(3, columns);
        const made = await pipelinesMadeBy(async () => {
          await checkShape(1, columns);
          await checkShape(2500, columns);
        });
        expect(made).to.equal(0);
      });
    }
  });
}
