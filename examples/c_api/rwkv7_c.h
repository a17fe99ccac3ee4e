/* SPDX-License-Identifier: MIT */
/* rwkv7 from C, in ten functions. This is an example to copy and to change: the names, the struct layouts and the
 * binary interface are yours, the library makes no promise about them.
 *
 * All tensors are dense, row-major and float. A function that returns int returns RWKV7_OK or another status, and then
 * has written nothing; rwkv7_last_error has the reason in words. Nothing is printed, no thread is started, and nothing
 * but open and pack allocates. Any number of threads may call at once, with outputs, states and workspaces of their
 * own, also on one model; open, pack and free want the model for themselves. */
#ifndef RWKV7_C_H
#define RWKV7_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum rwkv7_status { RWKV7_OK = 0, RWKV7_INVALID_ARGUMENT, RWKV7_OUT_OF_MEMORY, RWKV7_FAILED };

/* What the tensor w of rwkv7_wkv7 holds; the decay factor itself is w, exp(w), exp(-exp(w)), exp(-exp(-1/2)
 * sigmoid(w)). */
enum rwkv7_decay { RWKV7_DECAY_FACTOR, RWKV7_DECAY_LOG, RWKV7_DECAY_LOGLOG, RWKV7_DECAY_LOGIT };

typedef struct rwkv7_model rwkv7_model;

/* "0.1.0" */
const char* rwkv7_version(void);

/* Why the last call of this thread failed; "" when none has. Valid until the next call of this thread that fails. */
const char* rwkv7_last_error(void);

/* S = S diag(w) + (S a) b^T + v k^T;  y = S r, token after token. T = 1 is one step of decoding.
 *   r w k v a b   [B, T, H, N]  read; w_is (an rwkv7_decay) says what w holds
 *   y             [B, T, H, N]  overwritten
 *   S             [B, H, N, N]  row = value, column = key; carried on in place. NULL: from zero, and dropped */
int rwkv7_wkv7(int64_t B, int64_t T, int64_t H, int64_t N, const float* r, const float* w, int w_is, const float* k,
               const float* v, const float* a, const float* b, float* y, float* S);

/* Maps a .safetensors checkpoint with the tensor names of RWKV-LM; the file must stay as it is until pack or free.
 * On failure *model is NULL. */
int rwkv7_model_open(const char* path, rwkv7_model** model);
/* Copies the parameters to aligned memory of the model and closes the file: slower to open, faster to run. */
int rwkv7_model_pack(rwkv7_model* model);
/* NULL is fine. */
void rwkv7_model_free(rwkv7_model* model);

/* V, how many tokens there are. */
int64_t rwkv7_model_vocabulary(const rwkv7_model* model);
/* How many floats the state of one sequence is. A new sequence starts with zeros; to copy them is to branch. */
int64_t rwkv7_model_state_size(const rwkv7_model* model);
/* Bytes of scratch for a call of rwkv7_model_forward with these B and T; 0 for negative ones. */
size_t rwkv7_model_workspace_size(const rwkv7_model* model, int64_t B, int64_t T);

/* Runs B sequences of T tokens each.
 *   tokens      [B, T]           read; each in [0, V)
 *   last        [B, V]           the logits after the last token of each sequence, overwritten; NULL: not wanted
 *   logits      [B, T, V]        those of every token, overwritten; NULL: not wanted
 *   state       [B, state_size]  carried on in place. NULL: from zero, and dropped
 *   workspace   workspace_size bytes of scratch, of any alignment */
int rwkv7_model_forward(const rwkv7_model* model, int64_t B, int64_t T, const int32_t* tokens, float* last,
                        float* logits, float* state, void* workspace, size_t workspace_size);

#ifdef __cplusplus
}
#endif
#endif
