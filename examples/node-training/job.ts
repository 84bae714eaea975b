// SPDX-License-Identifier: Apache-2.0
/** What is to be done: options, text and, where a run goes on, the checkpoint. All checks of them are here. */
import { UsageError } from '../shared/usage.js';
import type { Checkpoint } from './checkpoint.js';
import { lastCheckpoint, readCheckpoint } from './checkpoint_files.js';
import { makeCorpus, readTextFile } from './corpus.js';
import type { Corpus, TextFile } from './corpus.js';
import type { Options } from './options.js';
import type { RunOptions, Settings } from './settings.js';

export interface Job {
  settings: Settings;
  run: RunOptions;
  text: TextFile;
  corpus: Corpus;
  /** Where to go on. */
  checkpoint?: Checkpoint;
}

async function resumed({ run, text }: Options): Promise<Job> {
  const folder = await lastCheckpoint(run.out);
  if (folder === undefined) throw new UsageError(`there is no checkpoint in ${run.out}`);
  const checkpoint = await readCheckpoint(folder);
  const { settings, text: before, tokenizer } = checkpoint.state;
  const file = await readTextFile(text ?? before.path);
  if (file.sha256 !== before.sha256) {
    throw new UsageError(`${file.path} is not the text that the checkpoint was trained on`);
  }
  return {
    settings,
    run,
    text: file,
    corpus: makeCorpus(file.text, settings, tokenizer),
    checkpoint,
  };
}

/** @throws UsageError if the text or the checkpoint cannot be had, or a new run would write beside an old one */
export async function makeJob(options: Options): Promise<Job> {
  const { settings, run, text, compare } = options;
  if (run.resume) return resumed(options);
  const file = await readTextFile(text!);
  const old = compare ? undefined : await lastCheckpoint(run.out);
  if (old !== undefined) {
    throw new UsageError(`there is ${old} already: --resume goes on, another --out begins anew`);
  }
  return { settings, run, text: file, corpus: makeCorpus(file.text, settings) };
}
