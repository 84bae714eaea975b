// SPDX-License-Identifier: Apache-2.0
/**
 * Token embedding whose table also makes the logits, as in GPT-2, Gemma and the smaller Qwen3 models.
 *
 * A model calls the layer twice: on token ids it looks rows of the table up, on hidden states it multiplies by the
 * table, transposed. Which of the two follows from the rank, so a saved model has both calls in its topology and loads
 * by itself.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { LayerVariable, Shape } from '@tensorflow/tfjs-layers';

import { oneOf } from './apply.js';

export interface TokenEmbeddingArgs {
  name?: string;
  vocabulary: number;
  width: number;
  /** Factor of the embeddings, not of the logits: sqrt(width) in Gemma. 1. */
  factor?: number;
}

export class TokenEmbedding extends tfl.layers.Layer {
  /** @nocollapse */
  static className = 'ExampleTokenEmbedding';
  private readonly vocabulary: number;
  private readonly width: number;
  private readonly factor: number;
  private table: LayerVariable | null = null;

  constructor(args: TokenEmbeddingArgs) {
    super(args as object);
    this.vocabulary = args.vocabulary;
    this.width = args.width;
    this.factor = args.factor ?? 1;
  }

  override build(inputShape: Shape | Shape[]): void {
    const { vocabulary, width } = this;
    const zeros = tfl.initializers.zeros();
    this.table ??= this.addWeight('embeddings', [vocabulary, width], 'float32', zeros);
    super.build(inputShape);
  }

  /** [B, M] -> [B, M, width]; [B, M, width] -> [B, M, vocabulary]. */
  override computeOutputShape(inputShape: Shape | Shape[]): Shape {
    const shape = inputShape as Shape;
    return shape.length === 2 ? [...shape, this.width] : [shape[0]!, shape[1]!, this.vocabulary];
  }

  override call(inputs: Tensor | Tensor[]): Tensor {
    const x = oneOf(inputs);
    return tf.tidy(() => (x.rank === 2 ? this.embed(x) : this.logits(x)));
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { vocabulary, width, factor } = this;
    return { ...super.getConfig(), vocabulary, width, factor };
  }

  private embed(tokens: Tensor): Tensor {
    const rows = tf.gather(this.table!.read(), tf.cast(tokens, 'int32'));
    return this.factor === 1 ? rows : tf.mul(rows, this.factor);
  }

  private logits(hidden: Tensor): Tensor {
    const [batch, steps, width] = hidden.shape as [number, number, number];
    const rows = tf.reshape(hidden, [batch * steps, width]);
    const logits = tf.matMul(rows, this.table!.read(), false, true);
    return tf.reshape(logits, [batch, steps, this.vocabulary]);
  }
}
tf.serialization.registerClass(TokenEmbedding);
