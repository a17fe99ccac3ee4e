/* SPDX-License-Identifier: MIT */
/* demo                           one head, as in 01_one_head.cpp
 * demo MODEL TOKEN [TOKEN...]    the logits after the last token, one per line, exactly (hexadecimal floats) */
#include <stdio.h>
#include <stdlib.h>

#include "rwkv7_c.h"

static int complain(void) {
  fprintf(stderr, "%s\n", rwkv7_last_error());
  return 1;
}

static int one_head(void) {
  const float zeros[3] = {0, 0, 0}, key[3] = {1, 0, 0}, value[3] = {2, 4, 6}, keep[3] = {1, 1, 1},
              fade[3] = {0.5f, 1, 1};
  float S[9] = {0}, y[3];
  if (rwkv7_wkv7(1, 1, 1, 3, zeros, keep, RWKV7_DECAY_FACTOR, key, value, zeros, zeros, y, S) != RWKV7_OK ||
      rwkv7_wkv7(1, 1, 1, 3, key, fade, RWKV7_DECAY_FACTOR, zeros, zeros, zeros, zeros, y, S) != RWKV7_OK)
    return complain();
  printf("rwkv7 %s: y = %g %g %g, half of what was written\n", rwkv7_version(), y[0], y[1], y[2]);
  return y[0] == 1 && y[1] == 2 && y[2] == 3 ? 0 : 1;
}

int main(int argc, char** argv) {
  rwkv7_model* model;
  int32_t* tokens;
  float *state, *logits;
  void* workspace;
  size_t bytes;
  int64_t V, i;
  int count, status;

  if (argc < 2) return one_head();
  if (argc < 3) {
    fprintf(stderr, "usage: %s [MODEL TOKEN...]\n", argv[0]);
    return 2;
  }
  if (rwkv7_model_open(argv[1], &model) != RWKV7_OK || rwkv7_model_pack(model) != RWKV7_OK) return complain();

  count = argc - 2;
  V = rwkv7_model_vocabulary(model);
  bytes = rwkv7_model_workspace_size(model, 1, count);
  tokens = malloc((size_t)count * sizeof *tokens);
  state = calloc((size_t)rwkv7_model_state_size(model), sizeof *state);
  logits = malloc((size_t)V * sizeof *logits);
  workspace = malloc(bytes);
  status = 1;
  if (!tokens || !state || !logits || !workspace) {
    fprintf(stderr, "out of memory\n");
  } else {
    for (i = 0; i < count; ++i) tokens[i] = (int32_t)strtol(argv[i + 2], NULL, 10);
    if (rwkv7_model_forward(model, 1, count, tokens, logits, NULL, state, workspace, bytes) != RWKV7_OK) {
      complain();
    } else {
      for (i = 0; i < V; ++i) printf("%a\n", logits[i]);
      status = 0;
    }
  }
  free(workspace);
  free(logits);
  free(state);
  free(tokens);
  rwkv7_model_free(model);
  return status;
}
