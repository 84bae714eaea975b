// SPDX-License-Identifier: Apache-2.0
/** What the scripts share: running commands, and lines of progress that read well in a log. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

/** The root of the checkout. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** @param {string} text */
export function step(text) {
  console.log(`\n== ${text}`);
}

/** @param {string} text */
export function note(text) {
  console.log(`   ${text}`);
}

/** @param {number} milliseconds */
export function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/**
 * Runs a command and answers when it has ended; it never throws.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{cwd?: string, env?: NodeJS.ProcessEnv, quiet?: boolean, onOutput?: (text: string) => void}} [options] `quiet`
 *     collects the output instead of showing it; `onOutput` gets it as it comes.
 * @returns {Promise<{code: number, output: string}>} code 127 if the command could not be started.
 */
export function run(
  command,
  args,
  { cwd = root, env = process.env, quiet = false, onOutput } = {},
) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    });
    let output = '';
    const collect = (/** @type {string} */ text) => {
      output += text;
      onOutput?.(text);
    };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/**
 * The last lines of a text, for messages that quote a log.
 *
 * @param {string} text
 * @param {number} [count]
 */
export function tail(text, count = 15) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
