// SPDX-License-Identifier: Apache-2.0
/** What concerns the whole page: errors that nobody expected, and a graphics device that is gone. */
import { byId, make } from './dom.js';
import { reasonOf } from './words.js';

const place = () => byId('notices', HTMLElement);

/** Shows a notice above the page's parts, read out at once. @returns what takes it away again */
export function notify(text: string, ...more: HTMLElement[]): () => void {
  const notice = make('p', { class: 'notice' }, text, ...more);
  place().append(notice);
  return () => notice.remove();
}

/** An error that is a mistake of this page, or of what it builds on: said, so that the page does not just stop. */
export function notifyError(error: unknown): void {
  console.error(error);
  notify(
    `Something went wrong: ${reasonOf(error)}. What the page shows stays; the browser’s console has more.`,
  );
}

/** Tells also what nobody has caught. */
export function catchAll(): void {
  addEventListener('error', ({ error, message }) => notifyError(error ?? message));
  addEventListener('unhandledrejection', ({ reason }) => notifyError(reason));
}
