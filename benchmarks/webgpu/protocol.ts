// SPDX-License-Identifier: Apache-2.0
/**
 * What benchmarks/webgpu.ts and its runner say to each other. The runner is a process of Node or a page of
 * Chromium; it opens the device and runs all cases on it. If a driver takes it down, another one goes on with
 * the case after the one that it died of.
 */
import type { Case, ProviderName } from './cases.js';
import type { Limits } from './feasibility.js';
import type { Result, Settings } from './measure.js';

/** A module that the runner can import, or why there is none. */
export type PeerModule = { url: string; version: string } | string;

export interface Request {
  cases: readonly { index: number; case: Case }[];
  settings: Settings;
  limits: Limits;
  /** Whether a software adapter's subgroups are used. */
  subgroups: boolean;
  /** Whether the device is asked for subgroup matrices. */
  matrices: boolean;
  /** Of earlier runs on this device: they tell what the next would take. */
  known: readonly Result[];
  peers: Partial<Record<ProviderName, PeerModule>>;
}

export type Event =
  | { type: 'device'; heading: Record<string, string>; software: boolean }
  /** The provider comes next: it is the one to blame if nothing follows. */
  | { type: 'start'; index: number; provider: ProviderName }
  | { type: 'case'; index: number; results: Result[] }
  | { type: 'done' }
  /** The device is gone: a driver reset, most often. */
  | { type: 'lost'; message: string }
  /** The runner cannot go on, through nobody's fault but the set-up's. */
  | { type: 'fatal'; message: string };

export type Emit = (event: Event) => void | Promise<void>;
