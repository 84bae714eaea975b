// SPDX-License-Identifier: Apache-2.0
/**
 * Loads a decoder's checkpoint and goes on with token ids:
 *
 *     node --import tsx examples/models/pretrained_main.ts FOLDER 9707,11,847 [--tokens 20]
 */
import { folderFiles } from './checkpoint/node_files.js';
import { runExample } from './command.js';

await runExample(
  { tokens: 20 },
  async ({ tokens, seed }, [folder, ids]) => {
    const { loadPretrained } = await import('./pretrained.js');
    const { generate } = await import('./decoder/generate.js');
    const { disposeModel } = await import('./layers/apply.js');
    const { kind, model } = await loadPretrained(folderFiles(folder!), {
      castTo: 'bfloat16',
      onLayer: (done, total) => process.stderr.write(`\rlayer ${done} of ${total}`),
    });
    process.stderr.write('\n');
    if (kind !== 'decoder') throw new Error('The checkpoint is an encoder: it writes no text.');
    const prompt = ids!.split(',').map(Number);
    for await (const token of generate(model, prompt, { maxTokens: tokens, seed })) {
      process.stdout.write(`${token} `);
    }
    console.log();
    disposeModel(model);
  },
  ['FOLDER', 'IDS'],
);
