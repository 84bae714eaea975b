// SPDX-License-Identifier: Apache-2.0
import { VERSION } from '../version.js';

/** What `--help` prints. */
export const HELP = `tfjs-xformers ${VERSION}: fused norms and memory-efficient attention for TensorFlow.js

Usage: tfjs-xformers <command> [options]

Commands
  info        what runs here and why not: versions, tfjs backends, kernels, WebGPU, TensorFlow
  bench       measures this machine: attention and norms against plain tfjs ops, in speed and
              memory, and the dtype strategies of QK-norm attention in speed and accuracy

Options
  --json      one JSON document instead of text
  --version   the version of this package
  --help, -h  this text

Options of bench
  --backend   cpu, wasm, tensorflow or webgpu, several with commas; all that are installed
  --op        attention, causal, layer-norm, rms-norm or qk-norm, several with commas; all
  --seconds   about how long each backend is measured, 1 to 600; 6

A backend is measured if its package is found from the current folder:
  cpu, wasm   @tensorflow/tfjs (wasm: and @tensorflow/tfjs-backend-wasm)
  tensorflow  @tensorflow/tfjs-node or @tensorflow/tfjs-node-gpu
  webgpu      @tensorflow/tfjs-backend-webgpu and webgpu

Exit codes: 0; 1 if nothing could be measured or a result was wrong; 2 for a mistake in the call.
`;
