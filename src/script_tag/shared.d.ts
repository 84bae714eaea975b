// SPDX-License-Identifier: Apache-2.0
/** All modules that both files of the script-tag bundle use, as one; scripts/script_tag.mjs puts it there. */
declare module 'tfjs-xformers:shared';
