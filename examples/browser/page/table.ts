// SPDX-License-Identifier: Apache-2.0
import { make } from './dom.js';

type Cell = string | HTMLElement;

export interface TableContent {
  caption: string;
  header: readonly string[];
  /** The first cell of each row is its heading. */
  rows: readonly (readonly Cell[])[];
  /** Its cells are sentences, not numbers. */
  isWords?: boolean;
}

/** A table that reads well aloud: a caption, and headings of rows and columns. */
export function makeTable({ caption, header, rows, isWords }: TableContent): HTMLTableElement {
  const heads = header.map((title) => make('th', { scope: 'col' }, title));
  const lines = rows.map(([first, ...others]) =>
    make(
      'tr',
      {},
      make('th', { scope: 'row' }, first ?? ''),
      ...others.map((cell) => make('td', {}, cell)),
    ),
  );
  return make(
    'table',
    isWords === true ? { class: 'words' } : {},
    make('caption', {}, caption),
    make('thead', {}, make('tr', {}, ...heads)),
    make('tbody', {}, ...lines),
  );
}
