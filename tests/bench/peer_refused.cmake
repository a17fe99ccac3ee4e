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
refused("--model_shape: want CxLxV, [^\n]*; got 100x1x5" --model_shape=100x1x5)
refused("--model_shape: want CxLxV, [^\n]*; got 64x1x" --model_shape=64x1x)
refused("--model_types: want names from --help; got int8,int3" --model_shape=64x1x5 --model_types=int8,int3)
refused("--model_types needs --model or --model_shape" --model_types=int8)
refused("--model and --model_shape: want one of them" --model=x --model_shape=64x1x5)
refused("rwkv7::[^\n]*no_such_file[^\n]*" --model=no_such_file)
