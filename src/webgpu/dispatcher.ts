// SPDX-License-Identifier: Apache-2.0
/**
 * Runs this package's programs on tfjs' WebGPU device.
 *
 * tfjs' runWebGPUProgram gives one output, cannot emit `enable` directives and adds the shapes to
 * its cache key. This dispatcher instead records into the command encoder that tfjs has open, so
 * that order with tfjs' own kernels is kept and nothing is submitted early; where tfjs' queue cannot
 * be shared (see backend.ts) it submits by itself.
 */
import { env } from '@tensorflow/tfjs-core';
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { packedShape } from '../spec/dtype.js';
import type { FloatDType } from '../spec/dtype.js';
import { sizeOf } from '../spec/shape.js';
import { sharesQueue } from './backend.js';
import type { SharedQueue, WebGPUBackend } from './backend.js';
import { checkDevice } from './device_loss.js';
import { compiledProgram } from './pipelines.js';
import { uniformNames } from './program.js';
import type { Program } from './program.js';

/** While set, programs are noted instead of run, and outputs get no memory. */
let noted: Program[] | null = null;

/** The programs that `run` would dispatch. Its tensors hold nothing; `run` has to be synchronous. */
export function programsOf(run: () => void): Program[] {
  const programs: Program[] = [];
  noted = programs;
  try {
    run();
  } finally {
    noted = null;
  }
  return programs;
}

/**
 * A tensor without values on the GPU. A tensor of no elements needs no buffer.
 * @throws Error if the device is lost: a kernel makes its outputs before all else.
 */
export function makeOutput(
  backend: WebGPUBackend,
  shape: number[],
  dtype: DataType = 'float32',
): TensorInfo {
  checkDevice(backend.device);
  if (sizeOf(shape) === 0) {
    const values = dtype === 'float32' ? new Float32Array(0) : new Int32Array(0);
    return backend.makeTensorInfo(shape, dtype, values);
  }
  const info = backend.makeTensorInfo(shape, dtype);
  if (!noted) backend.uploadToGPU(info.dataId);
  return info;
}

/** An output of either storage type; for bfloat16 it is a handle (bf16/storage.ts). */
export function makeFloatOutput(
  backend: WebGPUBackend,
  shape: number[],
  dtype: FloatDType,
): TensorInfo {
  if (dtype === 'float32') return makeOutput(backend, shape);
  const { dataId } = makeOutput(backend, packedShape(shape), 'int32');
  return { dataId, shape, dtype: 'float32' };
}

/** Uploads integers for one dispatch; the caller disposes the tensor after it. */
export function uploadIntegers(backend: WebGPUBackend, values: Int32Array): TensorInfo {
  return backend.makeTensorInfo([values.length], 'int32', values);
}

/**
 * Records one dispatch of `groups` workgroups.
 * @param tensors one tensor per binding, in their order; each has at least one element.
 * @param uniforms a value for each uniform of the program.
 */
export function dispatch(
  backend: WebGPUBackend,
  program: Program,
  tensors: readonly TensorInfo[],
  uniforms: Readonly<Record<string, number>>,
  groups: number,
): void {
  if (groups === 0) return;
  if (noted) {
    noted.push(program);
    return;
  }
  for (const { dataId } of tensors) backend.uploadToGPU(dataId);
  const { device } = backend;
  const pipeline = compiledProgram(device, program);
  const uniformBuffer = writeUniforms(backend, program, { ...uniforms, groups });
  const buffers = tensors.map(({ dataId }) => backend.tensorMap.get(dataId).resource!);
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [...buffers, uniformBuffer].map((buffer, binding) => ({
      binding,
      resource: { buffer },
    })),
  });
  const grid = foldGrid(groups, device.limits.maxComputeWorkgroupsPerDimension);
  const record = (pass: GPUComputePassEncoder) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(...grid);
  };
  if (sharesQueue(backend)) {
    recordShared(backend, program, tensors, uniformBuffer, record);
  } else {
    submitAlone(backend, uniformBuffer, record);
  }
}

/** A grid of at least `groups` groups with no side above `limit`. */
export function foldGrid(groups: number, limit: number): [number, number] {
  if (groups <= limit) return [groups, 1];
  const width = Math.min(limit, Math.ceil(Math.sqrt(groups)));
  return [width, Math.ceil(groups / width)];
}

function writeUniforms(
  backend: WebGPUBackend,
  program: Program,
  values: Readonly<Record<string, number>>,
): GPUBuffer {
  const names = uniformNames(program);
  const bytes = Math.ceil((names.length * 4) / 16) * 16;
  const view = new DataView(new ArrayBuffer(bytes));
  names.forEach((name, index) => {
    const value = values[name]!;
    const type = program.uniforms[name] ?? 'u32';
    if (type === 'f32') view.setFloat32(index * 4, value, true);
    else if (type === 'i32') view.setInt32(index * 4, value, true);
    else view.setUint32(index * 4, value, true);
  });
  // A fresh buffer for each dispatch: writeBuffer acts before the deferred submit, so a buffer
  // written twice would change the earlier dispatch.
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = backend.bufferManager.acquireBuffer(bytes, usage);
  backend.queue.writeBuffer(buffer, 0, view.buffer);
  return buffer;
}

/** As tfjs' own recordAndSubmit does: in its open pass, or in a timed pass while tf.time runs. */
function recordShared(
  backend: SharedQueue,
  program: Program,
  tensors: readonly TensorInfo[],
  uniformBuffer: GPUBuffer,
  record: (pass: GPUComputePassEncoder) => void,
): void {
  const timers = backend.activeTimers;
  backend.ensureCommandEncoderReady();
  if (timers && backend.supportTimestampQuery) {
    backend.endComputePassEncoder();
    backend.querySet ??= backend.device.createQuerySet({ type: 'timestamp', count: 2 });
    backend.computePassEncoder = backend.commandEncoder.beginComputePass({
      timestampWrites: {
        querySet: backend.querySet,
        beginningOfPassWriteIndex: 0,
        endOfPassWriteIndex: 1,
      },
    });
  } else {
    backend.computePassEncoder ??= backend.commandEncoder.beginComputePass();
  }
  record(backend.computePassEncoder);
  for (const { dataId } of tensors) backend.commandQueueOwnedIds.add(dataId);
  backend.uniformPendingDisposal.push(uniformBuffer);
  backend.dispatchCountInPass++;
  if (timers) {
    backend.endComputePassEncoder();
    timers.push({ name: program.name, query: backend.getQueryTime() });
  } else if (env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE') <= backend.dispatchCountInPass) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
}

/** Submits what tfjs has recorded, then this dispatch on its own. */
function submitAlone(
  backend: WebGPUBackend,
  uniformBuffer: GPUBuffer,
  record: (pass: GPUComputePassEncoder) => void,
): void {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
  const encoder = backend.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  record(pass);
  pass.end();
  backend.queue.submit([encoder.finish()]);
  backend.bufferManager.releaseBuffer(uniformBuffer);
}
