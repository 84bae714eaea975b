// SPDX-License-Identifier: Apache-2.0
import { byId } from './dom.js';

/** Says beside a control what is wrong with its content, and marks it; undefined takes both back. */
export function setFieldError(
  control: HTMLInputElement | HTMLTextAreaElement,
  problem: string | undefined,
): void {
  byId(`${control.id}-error`, HTMLElement).textContent = problem ?? '';
  if (problem === undefined) control.removeAttribute('aria-invalid');
  else control.setAttribute('aria-invalid', 'true');
}
