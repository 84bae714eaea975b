// SPDX-License-Identifier: Apache-2.0
/** The few ways in which this page makes and finds elements. */

type Child = Node | string;

/** The element with an id; its class is checked, so that a slip in the HTML is found at once. */
export function byId<E extends HTMLElement>(id: string, type: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/** A new element, with attributes and with what is in it. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Runs what a button or a form asks for; what it throws is told where the page tells errors. */
export function onEvent<T extends HTMLElement>(
  element: T,
  type: string,
  act: () => void | Promise<void>,
  onError: (error: unknown) => void,
): void {
  element.addEventListener(type, (event) => {
    event.preventDefault();
    // Within a promise, so that an error and a rejection come to the same place.
    void Promise.resolve().then(act).catch(onError);
  });
}
