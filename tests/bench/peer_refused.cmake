# cmake -D PROGRAM=<rwkv7_bench> -D FOLDER=<of the stand-ins> -P peer_refused.cmake
#
# A peer that cannot be used: one line that says why, exit status 1, and nothing measured.
cmake_minimum_required(VERSION 3.22)

function(refused line)
  execute_process(COMMAND ${PROGRAM} ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL 1 OR NOT out STREQUAL "" OR NOT err MATCHES "^rwkv7_bench: ${line}\n$")
    message(SEND_ERROR "${ARGN}\nstatus ${status}, want 1\nstdout '${out}', want ''\nstderr '${err}', want '${line}'")
  endif()
endfunction()

refused("[^\n]*/no_such_folder/libggml-base.so: cannot open [^\n]*" --peer_llama=${FOLDER}/no_such_folder)
refused("[^\n]*/libggml-base.so: ggml_version: got 0.0.1, want 0.25.1" --peer_llama=${FOLDER}/other_version)
refused("[^\n]*/libggml-base.so: no function ggml_type_name" --peer_llama=${FOLDER}/no_functions)
refused("--peer_llama= needs a value" --peer_llama=)
refused("--model_gguf needs --model and --peer_llama" --model_gguf=model.gguf)
refused("rwkv7::[^\n]*no_such_file[^\n]*" --model=no_such_file)
