// SPDX-License-Identifier: Apache-2.0
/** node --import tsx examples/models/decoder/main.ts [--backend cpu] [--steps 150] [--seed 1] */
import { runExample } from '../command.js';

await runExample({ steps: 150 }, async ({ steps, seed }) => {
  const { gemma3Form, qwen3Form } = await import('./config.js');
  const { buildDecoder } = await import('./model.js');
  const { trainDecoder } = await import('./train.js');
  const { generate } = await import('./generate.js');
  const { disposeModel } = await import('../layers/apply.js');
  const { drawWeights } = await import('../layers/draw_weights.js');
  const { seededRandom } = await import('../../shared/random.js');
  const { batchesOf, characters, decode, encode } = await import('./verses.js');

  const sizes = { vocabulary: characters.length, width: 64, mlpWidth: 128, headDim: 16 };
  const heads = { heads: 4, kvHeads: 2, layers: 2 };
  const forms = {
    'Qwen3 form': qwen3Form({ ...sizes, ...heads }),
    'Gemma 3 form': gemma3Form({ ...sizes, ...heads }, { windowSize: 16, every: 2 }),
  };
  for (const [name, config] of Object.entries(forms)) {
    const model = drawWeights(buildDecoder(config, { castTo: 'bfloat16' }), seed);
    console.log(`\n${name}: ${model.countParams().toLocaleString('en-US')} parameters`);
    await trainDecoder(model, {
      ...{ steps, learningRate: 4e-3, nextBatch: batchesOf(8, 97, seededRandom(seed)) },
      onStep: (step, loss) => {
        if (step % 25 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
      },
    });
    const prompt = 'This is the cow';
    const written: number[] = [];
    for await (const token of generate(model, encode(prompt), { maxTokens: 80 })) {
      written.push(token);
    }
    console.log(`${prompt}|${decode(written)}`);
    disposeModel(model);
  }
});
