// SPDX-License-Identifier: Apache-2.0
/** Running an op of the native library, on a backend that only keeps accounts. */
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { OpAttributes, execute, tensorFlowBackend } from '../../src/tensorflow/backend.js';
import type { TensorFlowBackend } from '../../src/tensorflow/backend.js';

const TYPES = {
  TF_FLOAT: 1,
  TF_INT32: 3,
  TF_BOOL: 10,
  TF_ATTR_INT: 11,
  TF_ATTR_FLOAT: 12,
  TF_ATTR_BOOL: 13,
  TF_ATTR_TYPE: 14,
};

/** tfjs-node's backend as far as it is used, with the ids of the tensors that are alive. */
function fakeBackend(executeOp: TensorFlowBackend['binding']['executeOp']) {
  const alive = new Set<number>();
  const data = new Map<object, object>();
  const backend: TensorFlowBackend = {
    binding: {
      ...TYPES,
      createTensor: (shape, dtype, values) => {
        expect([shape, dtype]).to.deep.equal([[values.length], TYPES.TF_INT32]);
        alive.add(99);
        return 99;
      },
      deleteTensor: (id) => void expect(alive.delete(id)).to.be.true,
      executeOp,
    },
    tensorMap: { set: (dataId, entry) => void data.set(dataId, entry) },
    getInputTensorIds: (tensors) => tensors.map(({ shape }) => shape[0]!),
  };
  return { backend, alive, data };
}

const tensor = (id: number): TensorInfo => ({ dataId: {}, shape: [id], dtype: 'float32' });

describe('execute', () => {
  it('passes the inputs that are there, then the parameters, and frees these; attributes without defaults', () => {
    const { backend, alive } = fakeBackend((name, attributes, inputs, outputs) => {
      expect(name).to.equal('Op');
      expect(attributes).to.deep.equal([
        { name: 'n', type: TYPES.TF_ATTR_INT, value: 7 },
        { name: 'T', type: TYPES.TF_ATTR_TYPE, value: TYPES.TF_INT32 },
        { name: 'N', type: TYPES.TF_ATTR_INT, value: 1 },
        { name: 'rms', type: TYPES.TF_ATTR_BOOL, value: true },
        { name: 'epsilon', type: TYPES.TF_ATTR_FLOAT, value: 0.5 },
      ]);
      expect([inputs, outputs]).to.deep.equal([[4, 5, 99], 0]);
      expect(alive.size).to.equal(1);
      return [];
    });
    const attributes = new OpAttributes(backend.binding)
      .int('n', 7)
      .storage('T', 'bfloat16')
      .storage('Tx', 'float32')
      .count('N', tensor(4))
      .count('Nabsent', undefined)
      .bool('rms', true)
      .float('epsilon', 0.5);
    const inputs = [tensor(4), undefined, tensor(5)];
    execute(backend, { op: 'Op', attributes, inputs, params: new Int32Array(3) }, []);
    expect(alive.size).to.equal(0);
  });

  it('labels the outputs float32 and with the logical shape, and owns their data once', () => {
    const { backend, data } = fakeBackend(() => [
      { id: 1, shape: [2, 3], dtype: TYPES.TF_INT32 },
      { id: 2, shape: [2], dtype: TYPES.TF_FLOAT },
    ]);
    const attributes = new OpAttributes(backend.binding);
    const outputs = execute(backend, { op: 'Op', attributes, inputs: [] }, [[2, 5], [2]]);
    expect(outputs.map(({ shape, dtype }) => [shape, dtype])).to.deep.equal([
      [[2, 5], 'float32'],
      [[2], 'float32'],
    ]);
    expect(outputs.map(({ dataId }) => data.get(dataId))).to.deep.equal([
      { id: 1, shape: [2, 3], dtype: TYPES.TF_INT32, values: null, refCount: 1 },
      { id: 2, shape: [2], dtype: TYPES.TF_FLOAT, values: null, refCount: 1 },
    ]);
  });

  const messages: [status: string, words: RegExp][] = [
    [
      'Invalid TF_Status: 3\nMessage: {{function_node __wrapped__Op_device_/job:localhost/device:CPU:0}} head dims differ [Op:Op] name: ',
      /^tfjs-xformers: the native kernel Op refused the call: head dims differ$/,
    ],
    ['Invalid TF_Status: 8\nMessage: OOM', /the native kernel Op ran out of memory: OOM$/],
    ['Argument is null!', /the native kernel Op failed: Argument is null!$/],
  ];
  for (const [status, words] of messages) {
    it(`an op that throws leaves nothing behind, and says why: ${words.source}`, () => {
      const { backend, alive, data } = fakeBackend(() => {
        throw new Error(status);
      });
      const attributes = new OpAttributes(backend.binding);
      const call = { op: 'Op', attributes, inputs: [tensor(1)], params: new Int32Array(1) };
      expect(() => execute(backend, call, [[1]])).to.throw(Error, words);
      expect([alive.size, data.size]).to.deep.equal([0, 0]);
    });
  }

  it('needs the backend of tfjs-node', () => {
    expect(() => tensorFlowBackend({})).to.throw(Error, /not the one of @tensorflow\/tfjs-node/);
  });
});
