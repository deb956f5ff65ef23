# addnorm_f64_sealed: the whole double engine as one object whose only global symbols are the entry points below, so that
# the program carries the float and the double engine side by side although every function exists in both.
# Two steps: a relocatable link of the archive, then all symbols but the entries made local.
set(AN_F64_ENTRIES an_f64_gradcheck an_f64_gradcheck_tensor)

find_program(CMAKE_OBJCOPY NAMES ${CMAKE_C_COMPILER_TARGET}objcopy objcopy REQUIRED)
set(an_sealed_object ${CMAKE_CURRENT_BINARY_DIR}/addnorm_f64_sealed.o)
set(an_keep "")
foreach(entry ${AN_F64_ENTRIES})
  list(APPEND an_keep --keep-global-symbol=${entry})
endforeach()

add_custom_command(OUTPUT ${an_sealed_object}
  COMMAND ${CMAKE_LINKER} -r --whole-archive $<TARGET_FILE:addnorm_f64> -o ${an_sealed_object}.open
  COMMAND ${CMAKE_OBJCOPY} ${an_keep} ${an_sealed_object}.open ${an_sealed_object}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${an_sealed_object}.open
  DEPENDS addnorm_f64
  COMMENT "Sealing the double engine"
  VERBATIM)
set_source_files_properties(${an_sealed_object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
add_library(addnorm_f64_sealed STATIC ${an_sealed_object})
set_target_properties(addnorm_f64_sealed PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(addnorm_f64_sealed PUBLIC ${AN_LIBS})
