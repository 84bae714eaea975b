// SPDX-License-Identifier: Apache-2.0
/** node --import tsx examples/models/encoder/main.ts [--backend cpu] [--epochs 8] [--seed 1] */
import { runExample } from '../command.js';

await runExample({ epochs: 8 }, async ({ epochs, seed }) => {
  const { trainEncoder } = await import('./train.js');
  console.log('An encoder learns whether the letter after a separator is among those before it.');
  const accuracy = await trainEncoder({
    epochs,
    seed,
    onEpoch: (epoch, loss, training) =>
      console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, accuracy ${training.toFixed(3)}`),
  });
  console.log(`Of 500 new sequences ${(100 * accuracy).toFixed(1)} % are judged rightly.`);
});
