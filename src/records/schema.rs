//! The JSON Schema of records and rules: the forms in which a document can write a value.

/// Gives a type the schema of the form in which a document writes the type.
macro_rules! schema_of {
    ($type:ident as $form:ty, $description:literal) => {
        #[cfg(feature = "schema")]
        const _: () = {
            #[allow(unused_imports, reason = "not every form uses these types")]
            use $crate::records::schema::*;

            impl schemars::JsonSchema for $type {
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($type).into()
                }

                fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    let mut schema = <$form as schemars::JsonSchema>::json_schema(generator);
                    schema.insert("description".to_owned(), $description.into());
                    schema
                }
            }
        };
    };
}

pub(crate) use schema_of;

#[cfg(feature = "schema")]
pub(crate) use forms::*;

#[cfg(feature = "schema")]
mod forms {
    use crate::records::values::{OneOrMany, WordOr};
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use std::{borrow::Cow, marker::PhantomData};

    /// One of two forms.
    pub(crate) struct Either<A, B>(PhantomData<(A, B)>);

    /// One value, or a list of values.
    pub(crate) type OneOrMore<T> = Either<T, Vec<T>>;

    /// The word `any`.
    pub(crate) struct Any;

    /// The word `client`.
    pub(crate) struct ClientItself;

    impl<A: JsonSchema, B: JsonSchema> JsonSchema for Either<A, B> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            format!("{}_or_{}", A::schema_name(), B::schema_name()).into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            json_schema!({ "anyOf": [generator.subschema_for::<A>(), generator.subschema_for::<B>()] })
        }
    }

    impl<T: JsonSchema> JsonSchema for WordOr<T> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            Either::<String, T>::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            Either::<String, T>::json_schema(generator)
        }
    }

    impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            OneOrMore::<T>::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            OneOrMore::<T>::json_schema(generator)
        }
    }

    macro_rules! word {
        ($name:ident, $word:literal) => {
            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    $word.into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({ "const": $word })
                }
            }
        };
    }

    word!(Any, "any");
    word!(ClientItself, "client");
}
