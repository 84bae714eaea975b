// SPDX-License-Identifier: Apache-2.0
/**
 * Each op is asked for first, and its kernel too: TensorFlow ends the process when an op is registered
 * twice, and refuses to run one that has two kernels for a device. Between question and answer nobody else
 * may register, neither another thread nor another copy of this library: see shared_state.h.
 */
#include "ops/registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/kernel_table.h"
#include "cpu/thread_pool.h"
#include "ops/gpu.h"
#include "ops/op_kernel.h"
#include "ops/shared_state.h"

namespace tfxf {
namespace {

const OpDefinition* const kOps[] = {
    &kNormOp,          &kNormGradOp,          &kAttentionOp,    &kAttentionGradOp,
    &kAttentionBiasGradOp, &kAttentionSinkGradOp, &kBFloat16PackOp, &kBFloat16UnpackOp,
};

struct Registrar {
  RegistrationStatus& status;
  TF_Status* tf_status;

  bool check(const char* what, const char* name) {
    if (tf.GetCode(tf_status) == kTfOk) return true;
    snprintf(status.reason, sizeof status.reason, "TensorFlow %s refused the %s %s: %s",
             status.library.version, what, name, tf.Message(tf_status));
    return false;
  }

  bool op_exists(const char* name) {
    TF_Graph* graph = tf.NewGraph();
    TF_Buffer* definition = tf.NewBuffer();
    tf.GraphGetOpDef(graph, name, definition, tf_status);
    const bool exists = tf.GetCode(tf_status) == kTfOk;
    tf.DeleteBuffer(definition);
    tf.DeleteGraph(graph);
    return exists;
  }

  bool kernel_exists(const char* name) {
    TF_Buffer* kernels = tf.GetRegisteredKernelsForOp(name, tf_status);
    const bool exists = kernels != nullptr && kernels->length > 0;
    if (kernels != nullptr) tf.DeleteBuffer(kernels);
    return exists;
  }

  bool register_op(const OpDefinition& op) {
    TF_OpDefinitionBuilder* builder = tf.NewOpDefinitionBuilder(op.name);
    for (const char* const* spec = op.attributes; *spec != nullptr; spec++) {
      tf.OpDefinitionBuilderAddAttr(builder, *spec);
    }
    for (const char* const* spec = op.inputs; *spec != nullptr; spec++) {
      tf.OpDefinitionBuilderAddInput(builder, *spec);
    }
    for (const char* const* spec = op.outputs; *spec != nullptr; spec++) {
      tf.OpDefinitionBuilderAddOutput(builder, *spec);
    }
    tf.OpDefinitionBuilderSetShapeInferenceFunction(builder, op.infer_shapes);
    tf.RegisterOpDefinition(builder, tf_status);
    return check("op", op.name);
  }

  bool register_kernel(const OpDefinition& op) {
    TF_KernelBuilder* builder =
        tf.NewKernelBuilder(op.name, "CPU", op.create, op.compute, delete_kernel);
    tf.RegisterKernelBuilder(op.name, builder, tf_status);
    return check("kernel of", op.name);
  }

  /** For TensorFlow's GPUs; the numbers of a call stay on the host, where the kernel is launched. */
  bool register_gpu_kernel(const OpDefinition& op) {
    TF_KernelBuilder* builder =
        tf.NewKernelBuilder(op.name, "GPU", op.create, op.compute_on_gpu, delete_kernel);
    for (const char* const* spec = op.inputs; *spec != nullptr; spec++) {
      if (strncmp(*spec, "params:", 7) == 0) tf.KernelBuilder_HostMemory(builder, "params");
    }
    tf.RegisterKernelBuilder(op.name, builder, tf_status);
    return check("GPU kernel of", op.name);
  }

  bool add(const OpDefinition& op) {
    const bool has_op = op_exists(op.name);
    const bool has_kernel = has_op && kernel_exists(op.name);
    if (!has_op || !has_kernel) status.reused = false;
    return (has_op || register_op(op)) && (has_kernel || register_kernel(op));
  }
};

/** Whether TFXF_ISA, if it is set, names kernels that run here. */
bool is_isa_there(RegistrationStatus& status) {
  const char* wanted = getenv("TFXF_ISA");
  if (wanted == nullptr || *wanted == 0 || is_name_of(kernels(), wanted)) return true;
  snprintf(status.reason, sizeof status.reason,
           "TFXF_ISA is '%s', which is no instruction set that this processor and build have (such as "
           "avx2); unset it",
           wanted);
  return false;
}

}  // namespace

void register_ops(RegistrationStatus& status) {
  status = {};
  status.isa = kernels().name;
  if (!is_isa_there(status)) return;
  SharedState& shared = shared_state();
  const LockScope lock(shared.lock);
  find_tensorflow(status.library);
  if (!status.library.found) {
    snprintf(status.reason, sizeof status.reason, "%s", status.library.reason);
    return;
  }
  if (!stay_loaded()) {
    snprintf(status.reason, sizeof status.reason,
             "the system does not let this addon stay in memory, and TensorFlow would call it there");
    return;
  }
  Registrar registrar = {status, tf.NewStatus()};
  status.ok = status.reused = true;
  for (const OpDefinition* op : kOps) status.ok = status.ok && registrar.add(*op);
  const bool has_gpu = status.ok && find_gpu(status.gpu, status.gpu_reason, kReasonCapacity);
  for (const OpDefinition* op : kOps) {
    if (status.ok && has_gpu && !has_gpu_kernel(op->name)) status.ok = registrar.register_gpu_kernel(*op);
  }
  tf.DeleteStatus(registrar.tf_status);
  if (!status.ok) return;
  if (!status.reused || shared.isa == nullptr) {
    shared.isa = kernels().name;
    shared.threads = thread_pool().workers;
  }
  status.isa = shared.isa;
  status.threads = shared.threads;
}

}  // namespace tfxf
