// SPDX-License-Identifier: Apache-2.0
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'chai';

import type { TestBackend } from '../support/backends.js';

/** The test bed itself: the backend that a report names is the one that computed. */
export function suite(backend: TestBackend): void {
  describe('test bed', () => {
    it('runs on the backend that it names', async () => {
      expect(tf.getBackend()).to.equal(backend.name);
      const a = tf.tensor2d([1, 2, 3, 4], [2, 2]);
      const product = tf.matMul(a, a);
      const values = Array.from(await product.data());
      tf.dispose([a, product]);
      expect(values).to.deep.equal([7, 10, 15, 22]);
    });

    it('reads the golden data', async () => {
      const bytes = await backend.readBytes('index.json');
      const text = new TextDecoder().decode(bytes);
      expect(() => JSON.parse(text) as unknown).not.to.throw();
      const binary = await backend.readBytes('bf16.safetensors');
      expect(binary.byteLength).to.be.greaterThan(1000);
    });
  });
}
