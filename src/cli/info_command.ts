// SPDX-License-Identifier: Apache-2.0
/** `tfjs-xformers info`. */
import { info } from '../info.js';
import { infoLines } from './info_report.js';
import type { InfoReport } from './info_report.js';
import { nativeOf } from './native_lines.js';
import { clearProgress, showProgress } from './progress.js';
import { tryBackends } from './try_backends.js';

/** Prints the report. @returns the exit code */
export async function printInfo(asJson: boolean): Promise<number> {
  const { version, versions } = info();
  const trials = await tryBackends((name) => showProgress(`Trying ${name} …`));
  clearProgress();
  const native = nativeOf(trials);
  const report: InfoReport = {
    version,
    versions,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    trials,
    native,
    gpu: native.gpu,
  };
  console.log(asJson ? JSON.stringify(report, null, 2) : infoLines(report).join('\n'));
  return 0;
}
