# The programs of every consumer project, once the project has made rwkv7's targets available.

add_executable(consumer ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(consumer PRIVATE rwkv7::rwkv7)
set(programs consumer)
if(WITH_MODEL)
  add_executable(model_consumer ${CMAKE_CURRENT_LIST_DIR}/model.cpp)
  target_link_libraries(model_consumer PRIVATE rwkv7::model)
  list(APPEND programs model_consumer)
endif()

foreach(program IN LISTS programs)
  target_compile_options(${program} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Werror)
endforeach()
