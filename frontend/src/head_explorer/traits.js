// @ts-check
// What HeadExplorer and its Python class tell each other.

/**
 * A recording as it is sent: weights (layers, H, N, S), one byte a weight (see weightsOf), deflated where a map has more
 * than 256² cells; mask (N, S), empty where every cell may be seen. A trained one says whose it is.
 *
 * @typedef {object} Recording
 * @property {string} sentence
 * @property {string[]} tokens
 * @property {string[]} [context] what the tokens look at, where it is not themselves
 * @property {DataView} weights
 * @property {DataView} mask
 * @property {number} [num_heads] only of trained ones: the head count of the model that was read
 */

/**
 * What a trained head count reached, on the sentence (the task) that was recorded of it.
 *
 * @typedef {object} Trained
 * @property {string} sentence
 * @property {number} num_heads
 * @property {number} quality the mean of its seeds
 * @property {number[]} seeds one number for each training
 * @property {string} measure what quality is, in words, such as "right answers"
 */

/**
 * @typedef {object} TimingRow times in seconds; null where there is no sample
 * @property {number} heads
 * @property {"explicit" | "fused"} path
 * @property {number} predicted
 * @property {number | null} median
 * @property {number | null} q1
 * @property {number | null} q3
 * @property {number} runs
 *
 * @typedef {object} Timing
 * @property {number} d_model
 * @property {number} tokens
 * @property {string} device
 * @property {number} threads
 * @property {boolean} recorded
 * @property {string} machine
 * @property {TimingRow[]} rows
 * @property {string} note all but the rows in words
 */

/**
 * @typedef Traits
 * @property {[number, string][]} _colours of weights: [index, "#rrggbb"] anchors of 256 colours
 * @property {[number, string][]} _differences of differences
 * @property {"recorded" | "projection" | "trained"} source
 * @property {"maps" | "overview" | "lines"} view
 * @property {boolean} stretch
 * @property {string[]} hidden words as they are shown
 * @property {number} num_heads
 * @property {number} head the current one
 * @property {number[]} pinned none, one or two heads
 * @property {number[]} hovered [head, query, key] or nothing
 * @property {string} sentence
 * @property {number} layer
 * @property {number} num_layers
 * @property {string} typed
 * @property {string} message
 * @property {boolean} can_read
 * @property {boolean} loaded
 * @property {string} how_to_read
 * @property {Recording[]} _recordings
 * @property {Recording[]} _added
 * @property {Trained[]} _trained
 * @property {string[]} tokens
 * @property {number} d_model
 * @property {boolean} bias
 * @property {DataView} _query float32 (N, D)
 * @property {DataView} _key
 * @property {DataView} _mask (N, N), 1 = may attend
 * @property {boolean} causal
 * @property {number} window
 * @property {number} shuffle 0: the columns of Q and K in order; else the seed of their permutation
 * @property {number} num_kv_heads 0: every head has its own keys; else so many heads of keys are shared
 * @property {Timing[]} timings
 * @property {16 | 128 | 512} timing_tokens
 * @property {boolean} timings_open
 * @property {boolean} measuring
 * @property {number} progress 0 to 1
 * @property {number} seconds_left
 * @property {string} timing_message
 * @property {number} _patience seconds without a word from the kernel, after which the page says so
 */

export {};
