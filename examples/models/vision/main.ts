// SPDX-License-Identifier: Apache-2.0
/** node --import tsx examples/models/vision/main.ts [--backend cpu] [--epochs 8] [--seed 1] */
import { runExample } from '../command.js';

await runExample({ epochs: 8 }, async ({ epochs, seed }) => {
  const { trainVision } = await import('./train.js');
  console.log('A vision transformer learns to tell disc, ring, square, cross and triangle apart.');
  const accuracy = await trainVision({
    epochs,
    seed,
    onEpoch: (epoch, loss, training) =>
      console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, accuracy ${training.toFixed(3)}`),
  });
  console.log(`Of 500 new pictures ${(100 * accuracy).toFixed(1)} % are named rightly.`);
});
