// SPDX-License-Identifier: Apache-2.0
/** A call that no fused kernel takes runs as tfjs ops: said once, or refused where asked to. */
import { getBackend } from '@tensorflow/tfjs-core';
import { checkFlag, rangeError } from '../spec/errors.js';
import { fallbackReasons } from '../spec/support.js';
import type { FusedRequest } from '../spec/support.js';

const KEY = Symbol.for('tfjs-xformers.told');
/** The reasons told so far, shared by all copies of this package in the process. */
const told = ((globalThis as { [KEY]?: Set<string> })[KEY] ??= new Set<string>());

/** Throws unless `requireFused` is a boolean or left out. */
export function checkRequireFused(op: string, requireFused: unknown): void {
  const mend = 'Leave it out to allow a fall-back to tfjs ops.';
  checkFlag(op, 'options.requireFused', requireFused, mend);
}

type Advice = (backendName: string) => string | undefined;
let betterReason: Advice = () => undefined;

/** Where `advice` knows a reason for a backend, that is told in place of the backend's own. */
export function tellInstead(advice: Advice): void {
  betterReason = advice;
}

/**
 * Warns, once per reason, if the current backend has no fused kernel for a call.
 * With `requireFused` that is a RangeError instead.
 */
export function noteFallback(request: FusedRequest, requireFused: boolean | undefined): void {
  const reasons = fallbackReasons(getBackend(), request);
  if (reasons.length === 0) return;
  if (requireFused) {
    throw rangeError({
      op: request.op,
      argument: 'the call',
      expected: 'one that a fused kernel takes (options.requireFused)',
      got: reasons.join('; '),
      mend: 'Change that, or leave requireFused out to fall back to tfjs ops.',
    });
  }
  const better = betterReason(getBackend());
  for (const reason of better ? [better] : reasons) tellFallback(request.op, reason);
}

/** Warns that `what` runs as tfjs ops; once per reason. */
export function tellFallback(what: string, reason: string): void {
  tellOnce(`calls such as this ${what} run as plain tfjs ops`, reason);
}

/** Warns of `what`, once per reason. */
export function tellOnce(what: string, reason: string): void {
  if (told.has(reason)) return;
  told.add(reason);
  console.warn(`tfjs-xformers: ${what}: ${reason}.`);
}
