// SPDX-License-Identifier: Apache-2.0
/**
 * Random attention and norm problems against the float64 reference. The seed is in each title;
 * FUZZ_SEED and FUZZ_ROUNDS (environment variables in Node, globals in a browser) override it and
 * the number of rounds.
 */
import type { AttentionCase } from '../cases/attention.js';
import type { NormCase } from '../cases/norm.js';
import type { TestBackend } from '../support/backends.js';
import { expectClose } from '../support/close.js';
import { inDType, naiveAttention, naiveAttentionGradients, once } from '../support/naive.js';
import { referenceAttention, referenceAttentionGradients } from '../support/reference_attention.js';
import type { MaskDescription } from '../support/reference_mask.js';
import { referenceNorm, referenceNormGradients } from '../support/reference_norm.js';
import { runAttention, runAttentionGradients } from '../support/run_attention.js';
import type { GradientName } from '../support/run_attention.js';
import { seedAttention } from '../support/seeded_attention.js';
import { runNorm, runNormGradients, seedNorm } from '../support/seeded_norm.js';
import type { NormInputName } from '../support/seeded_norm.js';
import { SeededRandom } from '../support/seeded_random.js';

/** Each new pipeline of webgpu and webgl takes time, so there are fewer there. */
const ROUNDS: Record<TestBackend['name'], number> = {
  cpu: 40,
  wasm: 40,
  webgl: 5,
  webgpu: 16,
  tensorflow: 40,
};

function setting(name: string, fallback: number): number {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const value = process?.env?.[name] ?? (globalThis as Record<string, unknown>)[name];
  return value === undefined ? fallback : Number(value);
}

/** `total` cut into `parts` whole numbers, some of them 0. */
function cut(random: SeededRandom, total: number, parts: number): number[] {
  const at = Array.from({ length: parts - 1 }, () => random.integer(0, total)).sort(
    (a, b) => a - b,
  );
  return [...at, total].map((end, n) => end - (n === 0 ? 0 : at[n - 1]!));
}

function randomMask(random: SeededRandom, mq: number, mk: number): MaskDescription | null {
  const parts = random.integer(1, 4);
  const qSeqlen = cut(random, mq, parts);
  const kvSeqlen = cut(random, mk, parts);
  const windowSize = random.integer(1, 12);
  const [windowLeft, windowRight] = [random.integer(0, 9), random.integer(0, 9)];
  return random.pick<() => MaskDescription | null>([
    () => null,
    () => ({ type: 'LowerTriangularMask' }),
    () => ({ type: 'LowerTriangularFromBottomRightMask' }),
    () => ({ type: 'LowerTriangularFromBottomRightLocalAttentionMask', windowSize }),
    () => ({ type: 'LocalAttentionFromBottomRightMask', windowLeft, windowRight }),
    () => ({ type: 'BlockDiagonalMask', qSeqlen, kvSeqlen }),
    () => ({ type: 'BlockDiagonalCausalMask', qSeqlen, kvSeqlen }),
    () => ({
      type: 'BlockDiagonalGappyKeysMask',
      qSeqlen,
      kvSeqstarts: [0, ...kvSeqlen].map((_, n) =>
        kvSeqlen.slice(0, n).reduce((sum, length) => sum + length, 0),
      ),
      kvSeqlen: kvSeqlen.map((length) => random.integer(0, length)),
    }),
  ])();
}

/** At most 40 queries and keys. @param fewDims of heads, as each compiles anew */
export function randomAttention(random: SeededRandom, fewDims: boolean): AttentionCase {
  const headDim = () => (fewDims ? random.pick([16, 32]) : random.integer(1, 40));
  const layout = random.pick([undefined, undefined, 'BHMK', 'packed'] as const);
  const mq = random.integer(1, 40);
  const mk = layout === 'packed' ? mq : random.integer(1, 40);
  const attnBias = randomMask(random, mq, mk);
  const packed = attnBias?.type.startsWith('Block') ?? false;
  const kvHeads = random.integer(1, 3);
  const withBias = attnBias === null && random.chance(0.4);
  const keyDim = headDim();
  return {
    name: '',
    dims: [
      packed ? 1 : random.integer(1, 2),
      mq,
      mk,
      kvHeads * random.pick([1, 1, 2, 3]),
      kvHeads,
      keyDim,
      fewDims || layout === 'packed' ? keyDim : headDim(),
    ],
    seed: random.integer(100000, 1e9),
    dtype: random.pick(['float32', 'bfloat16'] as const),
    attnBias,
    scale: null,
    qscale: 1,
    ...(withBias && {
      biasShape: ['B', 'H', 'Q', 'K'].map((axis) => (random.chance(0.3) ? '1' : axis)).join(''),
      biasKind: random.pick(['float', 'bool'] as const),
    }),
    ...(random.chance(0.2) && { softcap: 2 }),
    ...(random.chance(0.2) && { sink: true }),
    ...(random.chance(0.3) && { p: random.pick([0.1, 0.5, 0.9]) }),
    ...(layout !== 'packed' && random.chance(0.3) && { dlogSumExp: true }),
    layout,
  };
}

async function checkAttention(c: AttentionCase): Promise<void> {
  const s = seedAttention(c);
  const run = await runAttention(c, s);
  const want = referenceAttention(s.problem);
  const naive = naiveAttention(s, c.dtype);
  const { dtype } = c;
  expectClose('output', run.output, want.output, {
    kind: 'forward',
    dtype,
    naive: () => inDType(naive().output, dtype),
  });
  if (run.logSumExp) {
    expectClose('logSumExp', run.logSumExp, want.logSumExp, {
      kind: 'forward',
      dtype: 'float32',
      naive: () => naive().logSumExp,
    });
  }
  const gradients = await runAttentionGradients(c, s);
  const wanted = referenceAttentionGradients(s.problem, s.doutput, s.dlogSumExp);
  const naiveGradients = naiveAttentionGradients(s, c.dtype);
  for (const [name, got] of Object.entries(gradients) as [GradientName, Float32Array][]) {
    expectClose(`gradient of ${name}`, got, wanted[name]!, {
      kind: 'gradient',
      dtype,
      unit: 1 / (1 - (c.p ?? 0)),
      naive: () => inDType(naiveGradients()[name]!, dtype),
    });
  }
}

/** A norm of rows of at most 300 values. */
export function randomNorm(random: SeededRandom): NormCase {
  const rms = random.chance(0.5);
  const dtype = random.pick(['float32', 'bfloat16'] as const);
  const residual = random.chance(0.4);
  return {
    name: '',
    shape: [
      ...Array.from({ length: random.integer(0, 2) }, () => random.integer(1, 6)),
      random.integer(2, 300),
    ],
    dtype,
    epsilon: 1e-5,
    gamma: random.chance(0.7),
    beta: !rms && random.chance(0.7),
    rms,
    residual,
    xscale: 1,
    xoffset: 0,
    seed: random.integer(100000, 1e9),
    ...(rms && { weightOffset: random.pick([0, 1]) }),
    ...(random.chance(0.3) && { outputDtype: random.pick(['float32', 'bfloat16'] as const) }),
    ...(residual && random.chance(0.5) && { dsum: true }),
  };
}

export async function checkNorm(c: NormCase): Promise<void> {
  const s = seedNorm(c);
  const run = await runNorm(c, s);
  const dtype = c.outputDtype ?? c.dtype;
  expectClose('output', run.output, referenceNorm(s.problem).output, {
    kind: 'forward',
    dtype,
    naive: () => inDType(referenceNorm(s.problem, Math.fround).output, dtype),
  });
  const gradients = await runNormGradients(c, s);
  const want = referenceNormGradients(s.problem, s.dy, s.dsum);
  const naive = once(() => referenceNormGradients(s.problem, s.dy, s.dsum, Math.fround));
  for (const [name, got] of Object.entries(gradients) as [NormInputName, Float32Array][]) {
    const key = name === 'residual' ? 'x' : name;
    expectClose(`gradient of ${name}`, got, want[key], {
      kind: 'gradient',
      dtype: c.dtype,
      naive: () => inDType(naive()[key], c.dtype),
    });
  }
}

/** Adds the whole problem to a failure, so that it can be run alone. */
export async function withProblem(c: object, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    throw new Error(`${String(error)}\nof ${JSON.stringify(c)}`, { cause: error });
  }
}

export function suite(backend: TestBackend): void {
  const seed = setting('FUZZ_SEED', 20240);
  const rounds = setting('FUZZ_ROUNDS', ROUNDS[backend.name]);
  const fewDims = backend.name === 'webgpu' || backend.name === 'webgl';

  describe(`fuzz: ${rounds} rounds from FUZZ_SEED=${seed}`, function () {
    this.timeout(120000);

    for (let round = 0; round < rounds; round++) {
      const random = new SeededRandom(seed + round);
      const attention = randomAttention(random, fewDims);
      const norm = randomNorm(random);
      it(`attention · FUZZ_SEED=${seed + round} FUZZ_ROUNDS=1`, () =>
        withProblem(attention, () => checkAttention(attention)));
      it(`norm · FUZZ_SEED=${seed + round} FUZZ_ROUNDS=1`, () =>
        withProblem(norm, () => checkNorm(norm)));
    }
  });
}
