// SPDX-License-Identifier: Apache-2.0
/** Reads a config.json: each value with its type checked, by the name that transformers gives it. */
import { CheckpointError } from './error.js';

type Json = Readonly<Record<string, unknown>>;

export class ConfigReader {
  constructor(
    private readonly values: Json,
    private readonly path = '',
  ) {}

  /** A whole number above 0. */
  count(key: string, otherwise?: number): number {
    const isCount = (value: unknown) => Number.isInteger(value) && (value as number) > 0;
    return this.get(key, 'a whole number above 0', isCount, otherwise);
  }

  number(key: string, otherwise?: number): number {
    return this.get(key, 'a number', (value) => Number.isFinite(value), otherwise);
  }

  boolean(key: string, otherwise?: boolean): boolean {
    return this.get(key, 'true or false', (value) => typeof value === 'boolean', otherwise);
  }

  string(key: string, otherwise?: string): string {
    return this.get(key, 'a string', (value) => typeof value === 'string', otherwise);
  }

  strings(key: string): string[] | null {
    const isList = (value: unknown) =>
      Array.isArray(value) && value.every((each) => typeof each === 'string');
    return this.has(key) ? this.get<string[]>(key, 'a list of strings', isList) : null;
  }

  /** One of the keys of `choices`, as its value there. */
  choice<T>(key: string, choices: Readonly<Record<string, T>>, otherwise?: string): T {
    const known = Object.keys(choices);
    const isKnown = (value: unknown) => known.includes(value as string);
    return choices[this.get<string>(key, `one of ${known.join(', ')}`, isKnown, otherwise)]!;
  }

  /** Whether there is a value other than null. */
  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  /** An object inside; null if there is none. */
  inner(key: string): ConfigReader | null {
    if (!this.has(key)) return null;
    const isObject = (value: unknown) => typeof value === 'object' && !Array.isArray(value);
    return new ConfigReader(this.get(key, 'an object', isObject), `${this.path}${key}.`);
  }

  /** Says that a value is not one that the models here can take. */
  refuse(key: string, expected: string): CheckpointError {
    const got = JSON.stringify(this.values[key]) ?? 'missing';
    return new CheckpointError(
      `config.json: ${this.path}${key} must be ${expected}, and is ${got}.`,
    );
  }

  private get<T>(
    key: string,
    expected: string,
    isFit: (value: unknown) => boolean,
    otherwise?: T,
  ): T {
    const value = this.has(key) ? this.values[key] : otherwise;
    if (!isFit(value)) throw this.refuse(key, expected);
    return value as T;
  }
}
