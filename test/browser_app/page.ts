// SPDX-License-Identifier: Apache-2.0
/** A page in Chromium, handled as a visitor does: keys, clicks, what stands where; and as an auditor: axe, widths. */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { expect } from 'chai';

import type { Chromium } from './chromium.js';

interface Evaluated {
  result: { value?: unknown };
  exceptionDetails?: { text: string; exception?: { description?: string } };
}

export interface Violation {
  id: string;
  impact: string;
  targets: string[];
}

const POLL_MS = 100;

export class Page {
  /** What the page wrote into the console as errors, or threw. */
  readonly errors: string[] = [];

  private constructor(
    private readonly chromium: Chromium,
    private readonly session: string,
    private readonly target: string,
  ) {}

  /** @param before a script that runs before those of any page that is opened in it */
  static async open(chromium: Chromium, before = ''): Promise<Page> {
    const { targetId } = await chromium.send<{ targetId: string }>('Target.createTarget', {
      url: 'about:blank',
    });
    const { sessionId } = await chromium.send<{ sessionId: string }>('Target.attachToTarget', {
      ...{ targetId, flatten: true },
    });
    const page = new Page(chromium, sessionId, targetId);
    chromium.listen(sessionId, (method, params) => page.note(method, params));
    for (const domain of ['Page', 'Runtime', 'Log']) await page.send(`${domain}.enable`);
    if (before !== '') await page.send('Page.addScriptToEvaluateOnNewDocument', { source: before });
    return page;
  }

  send<T>(method: string, params: object = {}): Promise<T> {
    return this.chromium.send<T>(method, params, this.session);
  }

  /** Opens an address and waits until its scripts have been loaded. */
  async goto(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      const end = this.chromium.listen(this.session, (method) => {
        if (method !== 'Page.loadEventFired') return;
        end();
        resolve();
      });
    });
    await this.send('Page.navigate', { url });
    await loaded;
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send<Evaluated>('Runtime.evaluate', {
      ...{ expression, awaitPromise: true, returnByValue: true },
    });
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value as T;
  }

  /** What an element shows, or what is in a field. */
  text(selector: string): Promise<string> {
    const name = JSON.stringify(selector);
    return this.evaluate(
      `(({ value, textContent }) => value || textContent.trim())(document.querySelector(${name}))`,
    );
  }

  /** Waits until an expression is true. @param seconds how long at most */
  async until(what: string, expression: string, seconds = 120): Promise<void> {
    const end = performance.now() + 1000 * seconds;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (performance.now() > end) {
        const seen = await this.evaluate<string>('document.body.innerText');
        throw new Error(`waited ${seconds} s for: ${what}. The page says:\n${seen}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Waits until an element's text matches. */
  async untilText(selector: string, pattern: RegExp, seconds?: number): Promise<string> {
    const name = JSON.stringify(selector);
    const test = `${pattern}.test(document.querySelector(${name}).textContent)`;
    await this.until(`${selector} matches ${pattern}`, test, seconds);
    return this.text(selector);
  }

  /** Clicks with the mouse, in the middle of what is seen of an element. */
  async click(selector: string): Promise<void> {
    const [x, y] = await this.evaluate<[number, number]>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      element.scrollIntoView({ block: 'center', behavior: 'instant' });
      const { left, top, width, height } = element.getBoundingClientRect();
      return [left + width / 2, top + height / 2];
    })()`);
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
    }
  }

  /** Presses keys one after the other: "Tab", "Enter". */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const text = key === 'Enter' ? '\r' : undefined;
      const code = { Tab: 9, Enter: 13 }[key];
      const event = { key, code: key, windowsVirtualKeyCode: code, ...(text && { text }) };
      await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
      await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    }
  }

  /** Puts a text in place of what a field has, as if it were pasted. */
  async fill(selector: string, text: string): Promise<void> {
    await this.evaluate(`(() => {
      const field = document.querySelector(${JSON.stringify(selector)});
      field.focus();
      field.select();
    })()`);
    if (text !== '') await this.send('Input.insertText', { text });
    else await this.evaluate(`document.execCommand('delete')`);
  }

  async choose(selector: string, value: string): Promise<void> {
    await this.evaluate(`(() => {
      const field = document.querySelector(${JSON.stringify(selector)});
      field.value = ${JSON.stringify(value)};
      field.dispatchEvent(new Event('change', { bubbles: true }));
    })()`);
  }

  /** The cells of a table, row by row, its header first. */
  table(selector: string): Promise<string[][]> {
    return this.evaluate(
      `[...document.querySelectorAll(${JSON.stringify(`${selector} tr`)})].map((row) => [...row.cells].map((cell) => cell.textContent))`,
    );
  }

  async emulate(scheme: 'light' | 'dark', width = 1280, height = 900): Promise<void> {
    const features = [
      { name: 'prefers-color-scheme', value: scheme },
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ];
    await this.send('Emulation.setEmulatedMedia', { features });
    const metrics = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.send('Emulation.setDeviceMetricsOverride', metrics);
  }

  /** What axe finds that is serious or worse. */
  async violations(): Promise<Violation[]> {
    const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
    await this.evaluate(`${await readFile(axe, 'utf8')};0`);
    const found = await this.evaluate<Violation[]>(
      'axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, targets: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`) })))',
    );
    return found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  }

  /** By how many pixels the page is wider than what is seen of it. */
  overflow(): Promise<number> {
    return this.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    );
  }

  /** Fails unless the page is accessible, and fits, at a width and in a scheme. */
  async expectSound(scheme: 'light' | 'dark', width: number): Promise<void> {
    await this.emulate(scheme, width);
    expect(await this.overflow(), `overflow at ${width}px`).to.equal(0);
    expect(await this.violations(), `${scheme}, ${width}px`).to.deep.equal([]);
  }

  async screenshot(file: string): Promise<void> {
    const { data } = await this.send<{ data: string }>('Page.captureScreenshot', {
      ...{ format: 'png', captureBeyondViewport: true },
    });
    await writeFile(file, Buffer.from(data, 'base64'));
  }

  async close(): Promise<void> {
    await this.chromium.send('Target.closeTarget', { targetId: this.target });
  }

  private note(method: string, params: Record<string, unknown>): void {
    if (method === 'Runtime.exceptionThrown') this.errors.push(JSON.stringify(params));
    const { entry } = params as { entry?: { level: string; text: string } };
    if (method === 'Log.entryAdded' && entry?.level === 'error') this.errors.push(entry.text);
  }
}
