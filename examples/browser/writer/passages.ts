// SPDX-License-Identifier: Apache-2.0
/** What the model has written, the newest first. */
import { byId, make } from '../page/dom.js';

const MOST = 8;

export class Passages {
  private readonly place = byId('passages', HTMLElement);

  constructor() {
    this.clear();
  }

  clear(): void {
    const words = 'After some steps it begins to write. First letters, then words, then lines.';
    this.place.replaceChildren(make('p', { class: 'fine' }, words));
  }

  /** @returns what takes the text of the passage as it is written */
  begin(title: string, prompt: string): (more: string) => void {
    this.place.querySelector(':scope > .fine')?.remove();
    // A prompt of white space would be an empty mark.
    const start = prompt.trim() === '' ? '' : make('mark', {}, prompt);
    const text = make('p', {}, start);
    this.place.prepend(make('article', { class: 'passage' }, make('h4', {}, title), text));
    for (const old of [...this.place.children].slice(MOST)) old.remove();
    return (more) => text.append(more);
  }
}
