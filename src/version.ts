// SPDX-License-Identifier: Apache-2.0
/** The version in package.json; a unit test keeps the two in step. */
export const VERSION = '0.1.0';
