// SPDX-License-Identifier: Apache-2.0
import type { SummaryFileWriter } from '@tensorflow/tfjs-node/dist/tensorboard.js';

import type { Device } from './backend.js';
import type { StepReport } from './trainer.js';

/**
 * Logs for TensorBoard by tf.node.summaryFileWriter, which is what tf.node.tensorBoard, a callback for model.fit, writes
 * with. Without tfjs-node there are none.
 */
export class RunLogs {
  private readonly writer: SummaryFileWriter | undefined;

  constructor(device: Device, folder: string) {
    this.writer = device.summaryFileWriter?.(folder);
  }

  step(step: number, { loss, gradientNorm, learningRate }: StepReport, speed: number): void {
    this.writer?.scalar('loss/training', loss, step);
    this.writer?.scalar('gradient_norm', gradientNorm, step);
    this.writer?.scalar('learning_rate', learningRate, step);
    this.writer?.scalar('tokens_per_second', speed, step);
  }

  evaluation(step: number, loss: number): void {
    this.writer?.scalar('loss/held_out', loss, step);
    this.flush();
  }

  flush(): void {
    this.writer?.flush();
  }
}
